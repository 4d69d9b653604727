/** A module or its parameters are refused: status INVALID. Says where and which rule, the same on every machine. */
export class WasmRefused extends Error {
  readonly rule: string;
  readonly section: string | undefined;
  /** Index of the function in the module's own index space. */
  readonly functionIndex: number | undefined;
  /** Byte offset in the module. */
  readonly offset: number | undefined;

  constructor(rule: string, at: { section?: string; functionIndex?: number | undefined; offset?: number } = {}) {
    const where = [
      at.section === undefined ? "" : `section ${at.section}`,
      at.functionIndex === undefined ? "" : `function ${at.functionIndex}`,
      at.offset === undefined ? "" : `offset ${at.offset}`,
    ].filter(Boolean);
    super(where.length === 0 ? rule : `${where.join(", ")}: ${rule}`);
    this.name = "WasmRefused";
    this.rule = rule;
    this.section = at.section;
    this.functionIndex = at.functionIndex;
    this.offset = at.offset;
  }
}
