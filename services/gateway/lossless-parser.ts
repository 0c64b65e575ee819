import { LosslessNumber } from 'lossless-json';

/**
 * Reads JSON (RFC 8259) into plain values, numbers into their literals. It is stricter than `JSON.parse` where a text can be
 * understood in two ways or do harm: a member that comes twice, one named `__proto__`, or more than `depthMax` levels.
 */
export class LosslessParser {
  readonly #text: string;
  readonly #depthMax: number;
  #index = 0;

  /** Throws BadJson. */
  static parse(text: string, depthMax: number): unknown {
    const parser = new LosslessParser(text, depthMax);
    const value = parser.#value(0);
    if (parser.#next() !== END) throw new BadJson('is not JSON');
    return value;
  }

  private constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  #value(depth: number): unknown {
    const code = this.#next();
    switch (code) {
      case QUOTE:
        return this.#string();
      case OPENING_BRACE:
        return this.#object(depth + 1);
      case OPENING_BRACKET:
        return this.#array(depth + 1);
      case LETTER_T:
        return this.#word('true', true);
      case LETTER_F:
        return this.#word('false', false);
      case LETTER_N:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): object {
    this.#enter(depth);
    const object: Record<string, unknown> = {};
    if (this.#next() === CLOSING_BRACE) return this.#leave(object);
    for (;;) {
      if (this.#next() !== QUOTE) throw new BadJson('is not JSON');
      const name = this.#string();
      if (name === '__proto__') throw new BadJson("has a member '__proto__'");
      if (Object.hasOwn(object, name)) throw new BadJson('has a member twice');
      if (this.#next() !== COLON) throw new BadJson('is not JSON');
      this.#index += 1;
      object[name] = this.#value(depth);
      if (this.#endsWith(CLOSING_BRACE)) return object;
    }
  }

  #array(depth: number): unknown[] {
    this.#enter(depth);
    const array: unknown[] = [];
    if (this.#next() === CLOSING_BRACKET) return this.#leave(array);
    for (;;) {
      array.push(this.#value(depth));
      if (this.#endsWith(CLOSING_BRACKET)) return array;
    }
  }

  #enter(depth: number): void {
    if (depth > this.#depthMax) throw new BadJson(`is nested deeper than ${this.#depthMax} levels`);
    this.#index += 1;
  }

  #leave<Value>(value: Value): Value {
    this.#index += 1;
    return value;
  }

  /** Whether the bracket closes here; otherwise a comma does not end it. */
  #endsWith(closing: number): boolean {
    const code = this.#next();
    if (code !== COMMA && code !== closing) throw new BadJson('is not JSON');
    this.#index += 1;
    return code === closing;
  }

  /** Long texts are the bulk of a body: their end is looked for, and what is in them is left to `JSON.parse`. */
  #string(): string {
    const start = this.#index;
    let end = start;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw new BadJson('is not JSON');
    } while (this.#isEscaped(end, start));
    this.#index = end + 1;
    try {
      return String(JSON.parse(this.#text.slice(start, end + 1)));
    } catch (error) {
      throw new BadJson('is not JSON', { cause: error });
    }
  }

  /** After an odd number of backslashes. */
  #isEscaped(quote: number, start: number): boolean {
    let before = quote - 1;
    while (before > start && this.#text.charCodeAt(before) === BACKSLASH) before -= 1;
    return (quote - 1 - before) % 2 === 1;
  }

  #number(): LosslessNumber {
    NUMBER.lastIndex = this.#index;
    const [literal] = NUMBER.exec(this.#text) ?? [];
    if (literal === undefined) throw new BadJson('is not JSON');
    this.#index += literal.length;
    return new LosslessNumber(literal);
  }

  #word<Value>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#index)) throw new BadJson('is not JSON');
    this.#index += word.length;
    return value;
  }

  /** The code of what comes after white space, which stays to be read; not a number at the end. */
  #next(): number {
    for (;;) {
      if (this.#index >= this.#text.length) return END;
      const code = this.#text.charCodeAt(this.#index);
      if (code !== SPACE && code !== LINE_FEED && code !== CARRIAGE_RETURN && code !== TAB) return code;
      this.#index += 1;
    }
  }
}

/** That a text is no JSON, or none that is taken; the message is the rest of a sentence about it. */
export class BadJson extends Error {
  override readonly name = 'BadJson';
}

/** At a place: sticky. */
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const END = -1;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
