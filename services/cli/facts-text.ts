import { visibleText } from './visible-text.js';

/** A name and what is to say of it; undefined is left out. */
export type Fact = readonly [name: string, value: string | undefined];

/** One thing's facts, one a line, the values below each other; longer texts are wrapped. */
export function factsText(facts: readonly Fact[]): string {
  const given = facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const indent = Math.max(...given.map(([name]) => name.length)) + GAP;
  return given
    .map(([name, value]) => {
      const lines = visibleText(value).split('\n').flatMap(wrapped);
      return name.padEnd(indent) + lines.join(`\n${' '.repeat(indent)}`);
    })
    .map((text) => text.replaceAll(/[ \t]+$/gm, ''))
    .join('\n');
}

/** Breaks between words; a longer word stands alone. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line: string | undefined;
  for (const word of text.split(' ')) {
    const longer = line === undefined ? word : `${line} ${word}`;
    if (line !== undefined && line.trim() !== '' && longer.length > LINE_LENGTH_MAX) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line ?? ''];
}

const GAP = 2;
const LINE_LENGTH_MAX = 92;
