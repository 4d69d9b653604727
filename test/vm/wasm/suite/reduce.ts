import type { Expression, ModuleText } from "./wast.ts";

const REFUSED = /externref|\bref\.(func|null|is_null|extern)|\btable\.(get|size)/;
/** What changes tables: a module without it is another module. */
const CHANGES_TABLES = /\btable\.(set|grow|fill|copy|init)|elem\.drop|\(elem (\$\w+ )?(func|declare|funcref|\(table)/;

/**
 * Takes out of a module's text the functions, tables and segments that use a refused feature, and what names them, so
 * that the rest of the module is tested. Undefined where nothing of the kind is found, or nothing is left.
 */
export const reduceModule = (text: ModuleText): ModuleText | undefined => {
  if (text.form !== "text") return undefined;
  const source = Buffer.from(text.bytes).toString("latin1");
  if (CHANGES_TABLES.test(source)) return undefined;
  const start = text.expression.from;
  const fields = text.expression.list!.filter(({ list }) => list !== undefined);
  const words = ({ from, to }: Expression): string => source.slice(from - start, to - start);
  const dropped = new Set<Expression>();
  const names = new Set<string>();
  const drop = (field: Expression): void => {
    dropped.add(field);
    const name = field.list![1]?.word;
    if (name?.startsWith("$")) names.add(name);
  };
  let tables = 0;
  for (const field of fields) {
    const isTable = field.list![0]!.word === "table" || /^\(import [^(]*\(table/.test(words(field));
    if (isTable && ++tables > 1) drop(field);
    else if (REFUSED.test(words(field))) drop(field);
  }
  if (dropped.size === 0) return undefined;
  for (let before = -1; before !== dropped.size; ) {
    before = dropped.size;
    for (const field of fields)
      if (!dropped.has(field) && (words(field).match(/\$[^\s()";]+/g) ?? []).some((name) => names.has(name)))
        drop(field);
  }
  const kept = fields.filter((field) => !dropped.has(field)).map(words);
  if (!kept.some((field) => /^\(func/.test(field))) return undefined;
  const bytes = Buffer.from(`(module ${kept.join("\n")})`, "latin1");
  return { ...text, bytes };
};
