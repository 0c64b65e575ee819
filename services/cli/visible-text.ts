/**
 * Text from outside as a terminal may show it. A label or an answer may hold anything: control characters would move
 * the cursor or recolour the screen, so they are shown as escapes. Line breaks and tabs stay.
 */
export function visibleText(text: string): string {
  return text
    .replaceAll(/\r\n?/g, '\n')
    .replaceAll(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same on one line, cut to a width. */
export function visibleLine(text: string, widthMax: number): string {
  const characters = [...visibleText(text).replaceAll(/\s+/g, ' ')];
  return characters.length <= widthMax
    ? characters.join('')
    : `${characters
        .slice(0, widthMax - 1)
        .join('')
        .trimEnd()}…`;
}

/** C0 without tab and line feed, DEL, C1, and the characters that reverse the direction of a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what this expression is for.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
