/**
 * Changes one top-level member in the text of a JSON object and leaves every other byte as it is: to parse and write
 * again would change how numbers are written, and the order of members.
 */

/**
 * The text with a top-level member added as its last one; `jsonValue` is JSON text. One of that name which is there
 * already is replaced: a reader would take either, and only ours may be believed. Throws RangeError if the text is no
 * object.
 */
export function addMember(text: string, name: string, jsonValue: string): string {
  const rest = removeMember(text, name);
  const end = rest.lastIndexOf('}');
  const before = rest.slice(0, Math.max(end, 0)).trimEnd();
  if (before === '' || !/^\s*\{/.test(rest)) throw new RangeError('the text is no JSON object');
  const member = `${JSON.stringify(name)}:${jsonValue}`;
  // A comma or another member stands before, unless the only thing before is the object's own brace.
  const separator = before.trimStart() === '{' ? '' : ',';
  return `${before}${separator}${member}${rest.slice(before.length)}`;
}

/** The text without its top-level members of that name; the same text if there is none. */
export function removeMember(text: string, name: string): string {
  if (!mayHold(text, name)) return text;
  const members = [...topLevelMembers(text)];
  let rest = text;
  // From the last to the first, so that the places of those in front stay.
  for (let index = members.length - 1; index >= 0; index -= 1) {
    const member = members[index];
    if (member?.name !== name) continue;
    const next = members[index + 1];
    const before = members[index - 1];
    // The comma goes with it: that behind it, or, of the last one, that in front of it.
    const [start, end] =
      next !== undefined ? [member.start, next.start] : [before?.end ?? member.start, member.end];
    rest = rest.slice(0, start) + rest.slice(end);
    members.splice(index, 1);
  }
  return rest;
}

/**
 * The text without a top-level member that is known to be there and null, which is one in every chunk of a stream: without
 * a scan where the name is written once and nothing is hidden in an escape, because that one is then the member's.
 */
export function removeNullMember(text: string, name: string): string {
  const quoted = JSON.stringify(name);
  const at = text.indexOf(quoted);
  const end = at + quoted.length;
  const isPlain = text[at - 1] === ',' && text.startsWith(NULL_VALUE, end) && !text.includes(ESCAPE);
  if (!isPlain || text.includes(quoted, end)) return removeMember(text, name);
  return text.slice(0, at - 1) + text.slice(end + NULL_VALUE.length);
}

/** The JSON text of a top-level member's value; of several the last, as a parser reads it. undefined: none. */
export function memberText(text: string, name: string): string | undefined {
  if (!mayHold(text, name)) return undefined;
  const member = [...topLevelMembers(text)].findLast((each) => each.name === name);
  return member === undefined ? undefined : text.slice(member.valueStart, member.end);
}

/** The first of these names that more than one top-level member has. Throws RangeError if the text is no object. */
export function repeatedMember(text: string, names: readonly string[]): string | undefined {
  // Nearly always each name is written at most once, and nothing is hidden in an escape.
  const mayRepeat = (name: string): boolean => {
    const quoted = JSON.stringify(name);
    const first = text.indexOf(quoted);
    return text.includes(ESCAPE) || (first >= 0 && text.includes(quoted, first + 1));
  };
  if (!names.some(mayRepeat)) return undefined;
  const found = [...topLevelMembers(text)].map(({ name }) => name);
  return names.find((name) => found.indexOf(name) !== found.lastIndexOf(name));
}

interface Member {
  readonly name: string;
  /** Of the name's opening quote. */
  readonly start: number;
  readonly valueStart: number;
  /** Behind the value. */
  readonly end: number;
}

/** Whether the name can be in the text at all: spelled out, or hidden in an escape. Nearly always spares the scan. */
function mayHold(text: string, name: string): boolean {
  return text.includes(JSON.stringify(name)) || text.includes(ESCAPE);
}

function* topLevelMembers(text: string): Generator<Member> {
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const start = at;
    const nameEnd = stringEnd(text, at);
    const name = nameOf(text.slice(start, nameEnd));
    at = skipSpace(text, skipSpace(text, nameEnd) + 1); // Over the colon.
    const valueStart = at;
    const end = valueEnd(text, at);
    yield { name, start, valueStart, end };
    at = skipSpace(text, skipSpace(text, end) + 1); // Over the comma, or the last brace.
  }
}

/** A name as it is meant: nearly never does one hold an escape. */
function nameOf(quoted: string): string {
  return quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
}

/** Behind the value that starts here. */
function valueEnd(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return stringEnd(text, start);
  if (first !== '{' && first !== '[') {
    LITERAL_END.lastIndex = start;
    return LITERAL_END.exec(text)?.index ?? text.length;
  }
  let depth = 0;
  for (let at = start; at < text.length; ) {
    BRACKET_OR_QUOTE.lastIndex = at;
    const found = BRACKET_OR_QUOTE.exec(text);
    if (found === null) break;
    if (found[0] === '"') {
      at = stringEnd(text, found.index);
      continue;
    }
    depth += found[0] === '{' || found[0] === '[' ? 1 : -1;
    at = found.index + 1;
    if (depth === 0) return at;
  }
  throw new RangeError('the text is no JSON object');
}

/** Behind the closing quote of the string that starts here. */
function stringEnd(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  throw new RangeError('the text is no JSON object');
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1;
  return at;
}

/** How every escape of an ASCII letter starts; names that are looked for are ASCII. */
const ESCAPE = '\\u00';
const NULL_VALUE = ':null';
const LITERAL_END = /[\s,}\]]/g;
const BRACKET_OR_QUOTE = /["{}[\]]/g;
