import { type JsonRecord, parseJsonRecord } from './json-value.js';

/**
 * The object of a JSON text that was cut, as far as it came: an open text ends where it was cut, what cannot be read without
 * its end (a number, a name) is left out, and so is `usage` if anything of it may be missing. undefined: nothing can be read.
 */
export function beginningOfJson(text: string): JsonRecord | undefined {
  const { lastWhole, closing, isInText } = scan(text);
  const candidates = isInText
    ? [`${withoutHalfEscape(text)}"${closing}`]
    : // A closed text or bracket at the end may be a whole value.
      /["\]}]\s*$/.test(text)
      ? [text + closing]
      : [];
  const whole = text.slice(0, lastWhole);
  for (const candidate of [...candidates, whole + scan(whole).closing]) {
    const value = parseJsonRecord(candidate);
    if (value !== undefined) return withoutOpenUsage(value);
  }
  return undefined;
}

interface Scanned {
  /** Before the last comma, or behind the last opening bracket: up to there all is whole but for the brackets. */
  readonly lastWhole: number;
  /** What closes the brackets that are open at the end. */
  readonly closing: string;
  readonly isInText: boolean;
}

function scan(text: string): Scanned {
  const open: string[] = [];
  let lastWhole = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      const end = endOfText(text, at);
      isInText = end === -1;
      at = end;
      if (isInText) break;
    } else if (character === '{' || character === '[') {
      open.push(character === '{' ? '}' : ']');
      lastWhole = at + 1;
    } else if (character === '}' || character === ']') open.pop();
    else if (character === ',') lastWhole = at;
  }
  return { lastWhole, closing: open.toReversed().join(''), isInText };
}

/** Where the closing quote is; -1: it is missing. */
function endOfText(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at === -1) return -1;
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at;
  }
}

/** A string may be cut within `\n` or within the two escapes of one character. */
function withoutHalfEscape(text: string): string {
  const cut = /\\(?:u[0-9a-fA-F]{0,3})?$/.exec(text);
  if (cut === null) return text;
  let slashes = 0;
  while (text[cut.index - 1 - slashes] === '\\') slashes += 1;
  return slashes % 2 === 0 ? text.slice(0, cut.index) : text;
}

/** Counts of which the last was cut are none. */
function withoutOpenUsage(value: JsonRecord): JsonRecord {
  const { usage, ...rest } = value;
  return usage !== undefined && Object.keys(value).at(-1) === 'usage' ? rest : value;
}
