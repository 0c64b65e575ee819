/** Rules for texts that callers give: each answers what is wrong, or undefined. */

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const VISIBLE_ASCII = /^[\x21-\x7e]*$/;
const TYPE_NAME = /^[A-Za-z0-9._-]+$/;
const TAG = /^[A-Za-z0-9_-]+$/;

export const TYPE_NAME_LENGTH_MAX = 64;
export const DESCRIPTION_LENGTH_MAX = 1024;
export const EVENT_ID_LENGTH_MAX = 128;
export const USER_ID_LENGTH_MAX = 256;
export const TAG_LENGTH_MAX = 64;
export const TAGS_MAX = 32;
export const PROVIDER_LENGTH_MAX = 128;
export const MODEL_LENGTH_MAX = 256;
export const OPERATION_KEY_LENGTH_MAX = 512;
export const STEP_LENGTH_MAX = 128;
export const PROVIDER_ID_LENGTH_MAX = 256;
export const PROPERTIES_MAX = 64;
export const PROPERTY_KEY_LENGTH_MAX = 64;
export const PROPERTY_VALUE_LENGTH_MAX = 1024;

export type TextRule = (text: string) => string | undefined;

export const typeNameRule: TextRule = (text) =>
  text.length <= TYPE_NAME_LENGTH_MAX && TYPE_NAME.test(text)
    ? undefined
    : `must be 1-${TYPE_NAME_LENGTH_MAX} letters, digits, '.', '-' or '_'`;

export const tagRule: TextRule = (text) =>
  text.length <= TAG_LENGTH_MAX && TAG.test(text)
    ? undefined
    : `must be 1-${TAG_LENGTH_MAX} letters, digits, '_' or '-'`;

export const userIdRule: TextRule = (text) =>
  text.length <= USER_ID_LENGTH_MAX && VISIBLE_ASCII.test(text)
    ? undefined
    : `must be at most ${USER_ID_LENGTH_MAX} printable ASCII characters without space`;

export const eventIdRule: TextRule = (text) =>
  text.length <= EVENT_ID_LENGTH_MAX && PRINTABLE_ASCII.test(text)
    ? undefined
    : `must be at most ${EVENT_ID_LENGTH_MAX} printable ASCII characters`;

/** Any text up to a length in UTF-16 units, without control characters. */
export function shortTextRule(lengthMax: number): TextRule {
  return (text) =>
    text.length <= lengthMax && !hasControlCharacter(text)
      ? undefined
      : `must be at most ${lengthMax} characters without control characters`;
}

/** Text for people may have line breaks and tabs. */
export function longTextRule(lengthMax: number): TextRule {
  return (text) =>
    text.length <= lengthMax && !hasControlCharacter(text.replaceAll(/[\n\r\t]/g, ''))
      ? undefined
      : `must be at most ${lengthMax} characters without control characters`;
}

/** As much of a caller's text as an error may show; it may be cut inside a character, which the edge mends. */
export function shown(text: string): string {
  return text.slice(0, SHOWN_LENGTH_MAX);
}

const SHOWN_LENGTH_MAX = 64;

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
