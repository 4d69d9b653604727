/** A reader of the specification suite's scripts: S-expressions with their place in the file, and what they command. */

/** A list, or an atom: a word, or the bytes of a string. */
export interface Expression {
  readonly from: number;
  readonly to: number;
  readonly list?: readonly Expression[];
  readonly word?: string;
  readonly text?: Uint8Array;
}

const SPACE = /[\s]*/y;
const WORD = /[^\s()";]+/y;
const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, '"': 34, "'": 39, "\\": 92 };

/** Parses a script, given as Latin-1 so that each character is a byte. Throws Error with the offset. */
export const readExpressions = (source: string): Expression[] => {
  let at = 0;
  const fail = (what: string): never => {
    throw new Error(`${what} at offset ${at}`);
  };
  const skipBlockComment = (): void => {
    let depth = 0;
    do {
      if (source.startsWith("(;", at)) depth++;
      else if (source.startsWith(";)", at)) depth--;
      else {
        at++;
        if (at > source.length) fail("open comment");
        continue;
      }
      at += 2;
    } while (depth > 0);
  };
  const skip = (): void => {
    for (;;) {
      SPACE.lastIndex = at;
      at += SPACE.exec(source)![0].length;
      if (source.startsWith(";;", at)) {
        while (at < source.length && source[at] !== "\n" && source[at] !== "\r") at++;
      } else if (source.startsWith("(;", at)) skipBlockComment();
      else return;
    }
  };
  const readString = (): Uint8Array => {
    const bytes: number[] = [];
    for (at++; source[at] !== '"'; at++) {
      if (at >= source.length) fail("open string");
      if (source[at] !== "\\") {
        bytes.push(source.charCodeAt(at));
        continue;
      }
      at++;
      if (source[at] === "u") {
        const end = source.indexOf("}", at);
        bytes.push(...Buffer.from(String.fromCodePoint(Number.parseInt(source.slice(at + 2, end), 16))));
        at = end;
      } else if (ESCAPES[source[at]!] !== undefined) bytes.push(ESCAPES[source[at]!]!);
      else bytes.push(Number.parseInt(source.slice(at, ++at + 1), 16));
    }
    at++;
    return Uint8Array.from(bytes);
  };
  const read = (): Expression => {
    const from = at;
    if (source[at] === "(") {
      at++;
      const list: Expression[] = [];
      for (skip(); source[at] !== ")"; skip()) {
        if (at >= source.length) fail("open list");
        list.push(read());
      }
      at++;
      return { from, to: at, list };
    }
    if (source[at] === '"') return { from, text: readString(), to: at };
    WORD.lastIndex = at;
    const word = WORD.exec(source)?.[0] ?? fail("unexpected character");
    at += word.length;
    return { from, to: at, word };
  };
  const out: Expression[] = [];
  for (skip(); at < source.length; skip()) out.push(read());
  return out;
};

/** A module in a script: bytes as they stand, or text to assemble; `quoted` text may be malformed. */
export interface ModuleText {
  readonly name: string | undefined;
  readonly form: "binary" | "text" | "quoted";
  readonly bytes: Uint8Array;
  readonly expression: Expression;
}

/** A constant as written: `f32.const nan:canonical`. */
export interface ConstantText {
  readonly op: string;
  readonly value: string;
}

export interface Action {
  readonly kind: "invoke" | "get";
  readonly module: string | undefined;
  readonly field: string;
  readonly args: readonly ConstantText[];
}

export type Command =
  | { readonly kind: "module"; readonly module: ModuleText }
  | { readonly kind: "register"; readonly as: string; readonly module: string | undefined }
  | { readonly kind: "action"; readonly action: Action }
  | { readonly kind: "return"; readonly action: Action; readonly expected: readonly ConstantText[] }
  | { readonly kind: "trap" | "exhaustion"; readonly action: Action; readonly reason: string }
  | { readonly kind: "trapping"; readonly module: ModuleText; readonly reason: string }
  | { readonly kind: "invalid" | "malformed" | "unlinkable"; readonly module: ModuleText; readonly reason: string };

/** A command and the line it stands on. */
export type Line = Command & { readonly line: number };

const utf8 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("utf8");
const head = (expression: Expression): string | undefined => expression.list?.[0]?.word;

const moduleOf = (expression: Expression, source: Uint8Array): ModuleText => {
  const list = expression.list!;
  const name = list[1]?.word?.startsWith("$") ? list[1].word : undefined;
  const rest = list.slice(name === undefined ? 1 : 2);
  const form = rest[0]?.word === "binary" ? "binary" : rest[0]?.word === "quote" ? "quoted" : "text";
  const bytes =
    form === "text"
      ? source.subarray(expression.from, expression.to)
      : Buffer.concat(rest.slice(1).map(({ text }) => text ?? new Uint8Array(0)));
  return { name, form, bytes, expression };
};

const constantOf = ({ list }: Expression): ConstantText => ({
  op: list![0]!.word!,
  value: list!
    .slice(1)
    .map(({ word }) => word ?? "")
    .join(" "),
});

const actionOf = ({ list }: Expression): Action => {
  const named = list![1]?.word !== undefined;
  const rest = list!.slice(named ? 2 : 1);
  return {
    kind: list![0]!.word as "invoke" | "get",
    module: named ? list![1]!.word : undefined,
    field: utf8(rest[0]?.text),
    args: rest.slice(1).map(constantOf),
  };
};

const commandOf = (expression: Expression, source: Uint8Array): Command => {
  const list = expression.list!;
  const kind = head(expression);
  const reason = utf8(list.at(-1)?.text);
  switch (kind) {
    case "module":
      return { kind, module: moduleOf(expression, source) };
    case "register":
      return { kind, as: utf8(list[1]!.text), module: list[2]?.word };
    case "invoke":
    case "get":
      return { kind: "action", action: actionOf(expression) };
    case "assert_return":
      return { kind: "return", action: actionOf(list[1]!), expected: list.slice(2).map(constantOf) };
    case "assert_trap":
      return head(list[1]!) === "module"
        ? { kind: "trapping", module: moduleOf(list[1]!, source), reason }
        : { kind: "trap", action: actionOf(list[1]!), reason };
    case "assert_exhaustion":
      return { kind: "exhaustion", action: actionOf(list[1]!), reason };
    case "assert_invalid":
    case "assert_malformed":
    case "assert_unlinkable":
      return { kind: kind.slice("assert_".length) as "invalid", module: moduleOf(list[1]!, source), reason };
    default:
      throw new Error(`unknown command ${kind}`);
  }
};

/** Reads the commands of a script. Throws Error where it is malformed. */
export const readScript = (source: Uint8Array): Line[] => {
  const latin = Buffer.from(source).toString("latin1");
  const expressions = readExpressions(latin);
  let line = 1;
  let counted = 0;
  const lineAt = (offset: number): number => {
    for (; counted < offset; counted++) if (latin[counted] === "\n") line++;
    return line;
  };
  // A script may be the fields of one module without its parentheses.
  if (expressions.length > 0 && expressions.every((one) => ["func", "memory", "table"].includes(head(one) ?? ""))) {
    const bytes = Buffer.concat([Buffer.from("(module "), source, Buffer.from("\n)")]);
    const expression = readExpressions(bytes.toString("latin1"))[0]!;
    return [{ kind: "module", line: 1, module: { name: undefined, form: "text", bytes, expression } }];
  }
  return expressions.map((expression) => ({ ...commandOf(expression, source), line: lineAt(expression.from) }));
};
