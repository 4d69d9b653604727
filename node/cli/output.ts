import { plain, plainLine } from "../../lib/plain.ts";

/** Ends the program with one line on standard error and status 1. */
export const fail = (message: string): never => {
  process.stderr.write(`rolec: ${plain(message)}\n`);
  process.exit(1);
};

/** Prints a JSON document; bigints as decimal strings. */
export const printJson = (value: unknown): void => {
  print(JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item), 2));
};

/** Prints a line, or several. What is in it may be of others: it steers no terminal. */
export const print = (line = ""): void => {
  process.stdout.write(`${plain(line)}\n`);
};

/** Lays rows out in columns as wide as their widest cell, under a header; numbers to the right. */
export const table = (header: readonly string[], rows: readonly (readonly (string | number)[])[]): string => {
  const cells = [header, ...rows].map((row) => row.map((cell) => plainLine(String(cell))));
  const widths = header.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? "").length)));
  const numeric = header.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^-?[\d.,]+ ?%?$/.test(String(row[i] ?? ""))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(cells[0]!), widths.map((width) => "-".repeat(width)).join("  "), ...cells.slice(1).map(line)].join("\n");
};

/** Shortens a hash or address for a table. */
export const short = (hex: string): string => (hex.length > 14 ? `${hex.slice(0, 8)}…${hex.slice(-4)}` : hex);

const PROGRESS_MS = 200;

/** Shows how far a transfer is, on standard error where that is a terminal. Amounts in bytes. */
export const progressLine = (verb: string) => {
  const isShown = process.stderr.isTTY;
  const since = Date.now();
  let last = 0;
  const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
  return {
    show: (done: number, total: number): void => {
      if (!isShown || (Date.now() - last < PROGRESS_MS && done < total)) return;
      last = Date.now();
      const speed = done / Math.max(0.001, (last - since) / 1000);
      const part = total > 0 ? Math.floor((100 * done) / total) : 100;
      process.stderr.write(`\r${verb} ${mib(done)} of ${mib(total)} MiB (${part} %, ${mib(speed)} MiB/s)   `);
    },
    end: (): void => {
      if (isShown && last > 0) process.stderr.write("\n");
    },
  };
};
