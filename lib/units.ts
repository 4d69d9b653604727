/** Amounts are in wei, unless their names say nRLC, in which PoCo counts, or RLC. */
export const GWEI = 10n ** 9n;
export const NRLC = 10n ** 9n;
export const RLC = 10n ** 18n;

/** Formats an amount of wei in RLC with up to `digits` decimals. */
export const rlc = (wei: bigint, digits = 4): string => {
  const sign = wei < 0n ? "-" : "";
  const text = (wei < 0n ? -wei : wei).toString().padStart(19, "0");
  const fraction = text.slice(-18, -18 + digits || undefined).replace(/0+$/, "");
  return `${sign}${text.slice(0, -18)}${fraction ? `.${fraction}` : ""}`;
};

/** Parses an amount in RLC, "12.5", into wei. Throws on anything else. */
export const parseRlc = (text: string): bigint => {
  const match = /^(\d{1,12})(?:\.(\d{1,18}))?$/.exec(text);
  if (!match) throw new Error(`"${text}" is no amount of RLC (like 12.5)`);
  return BigInt(match[1]!) * RLC + BigInt((match[2] ?? "").padEnd(18, "0"));
};
