import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Argument, Command, Option } from "commander";
import t from "tap";
import { createProgram } from "../../node/cli/program.ts";

const root = join(import.meta.dirname, "..", "..");
/** Documents that say at their head that commands are written without `rolec`. */
const BARE: ReadonlySet<string> = new Set(["README.md", "docs/validator-keys.md"]);
/** What stands for a value. It fits every option, as does what a document shortens. */
const ANY = "<>";
const SHORTENED = "…";

const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).map((name) => join("docs", name)),
  ...readdirSync(join(root, "apps")).map((name) => join("apps", name, "README.md")),
].filter((name) => name.endsWith(".md") && existsSync(join(root, name)));

/** A program that reads a command line, and does nothing. One that is not whole needs nothing. */
const reader = async (isWhole: boolean): Promise<Command> => {
  const program = await createProgram();
  const lenient = (each: Option | Argument): void => {
    const parse = each.parseArg;
    if (!parse) return;
    each.parseArg = <T>(value: string, before: T): T =>
      value.includes(ANY) || value.includes(SHORTENED) ? before : parse(value, before);
  };
  const visit = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    for (const each of [...command.options, ...command.registeredArguments]) lenient(each);
    if (!isWhole) for (const each of command.options) each.mandatory = false;
    if (!isWhole) for (const each of command.registeredArguments) each.required = false;
    if (command.commands.length === 0) command.action(() => undefined);
    for (const each of command.commands) visit(each);
  };
  visit(program);
  return program;
};
const names = new Set((await createProgram()).commands.map((command) => command.name()));

/** The words of a command line, with what stands for a value as one word. */
const wordsOf = (line: string): string[] => {
  const plain = line
    .replace(/ {3,}.*| [>#] .*/, "") // words about the command, or where its output goes
    .replace(/\[[^\]]*\]/g, "") // what may be left out
    .replace(/<[^>]*>/g, ANY);
  return [...plain.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare!);
};

/** A word like `export|import` is one word in each of several command lines. */
const spread = ([first, ...rest]: readonly string[]): string[][] => {
  if (first === undefined) return [[]];
  const ends = spread(rest);
  const choices = /^[a-z]+(\|[a-z]+)+$/.test(first) ? first.split("|") : [first];
  return choices.flatMap((each) => ends.map((end) => [each, ...end]));
};

/** The command lines of a document: lines of its blocks, and what stands between backquotes. */
const linesOf = (text: string, isBare: boolean): string[] => {
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split("\n"));
  const spans = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`]+)`/g)].map(([, span]) =>
    span!.replace(/\s+/g, " "),
  );
  return [...blocks, ...spans].flatMap((each) => {
    const [, command] = /^(?:npm (?:run -s|-s run) )?rolec (?:-- )?(.*)$/.exec(each.trim()) ?? [];
    const line = command ?? (isBare ? each.trim() : "");
    return names.has(line.split(" ")[0]!.split("|")[0]!) ? [line] : [];
  });
};

/** Says what is wrong with a command line. One of words alone names a command, and one that ends with an ellipsis is not whole. */
const faultOf = async (words: readonly string[]): Promise<string | undefined> => {
  let command = await createProgram();
  const rest = [...words];
  for (let next: Command | undefined; ; command = next) {
    next = command.commands.find((each) => each.name() === rest[0]);
    if (!next) break;
    rest.shift();
  }
  if (rest.length === 0) return undefined;
  const isWhole = words.at(-1) !== SHORTENED;
  return (await reader(isWhole)).parseAsync(isWhole ? words : words.slice(0, -1), { from: "user" }).then(
    () => undefined,
    (error: Error) => error.message,
  );
};

t.test("every command that a document names exists, with the options it is given and those it needs", async (t) => {
  let count = 0;
  for (const name of documents) {
    const text = readFileSync(join(root, name), "utf8");
    for (const line of linesOf(text, BARE.has(name)))
      for (const words of spread(wordsOf(line))) {
        count += 1;
        t.equal(await faultOf(words), undefined, `${name}: ${words.join(" ")}`);
      }
  }
  t.ok(count > 60, `${count} command lines`);
});

t.test("a document that names what does not exist is found out", async (t) => {
  const faults = async (line: string) => (await faultOf(wordsOf(line))) ?? "";
  t.match(await faults("validator new --datadir ~/rolec"), /unknown option '--datadir'|required option '--out/);
  t.match(await faults("validator register --keys file"), /required option '--bond/);
  t.match(await faults("validator exit <address>"), /unknown command/);
  t.match(await faults("genesis new --out x --profile nonsense"), /profile/);
  t.match(await faults("node --datadir x --port many"), /whole number/);
  t.match(await faults("worker start --no-such-thing …"), /unknown option/);
  t.equal(await faults("worker start --hours 22:00-06:00 …"), "", "what is shortened need not be whole");
  t.same(linesOf("`rolec  node\n--datadir x` `node --datadir x`\n```\nrolec run a\nls\n```\n", false), [
    "run a",
    "node --datadir x",
  ]);
});
