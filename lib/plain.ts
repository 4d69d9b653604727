/** Control characters, marks that turn the order of letters, and ends of lines that few programs know; not line feeds and tabs. */
const STEERING = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;
const BREAKS = /[\n\t]/g;

const escaped = (text: string): string => `\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Writes what would steer a terminal, or show letters in another order, as JSON would: text of others is printed so. */
export const plain = (text: string): string => text.replace(STEERING, escaped);

/** As `plain`, in one line: a name has no part of the next. */
export const plainLine = (text: string): string => plain(text).replace(BREAKS, escaped);
