import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HttpFault } from '../services/gateway/http-fault.js';
import { exactNumber, jsonText, LosslessNumber, parseJson } from '../services/gateway/json-text.js';

/** As `JSON.parse` would have it. */
function withNumbers(value: unknown): unknown {
  if (value instanceof LosslessNumber) return Number(value.value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withNumbers(member)]));
}

/** What JSON.parse makes of a text; undefined: it is none. */
function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

const ANY_JSON = fc
  .json({ noUnicodeString: false, maxDepth: 5 })
  .filter((text) => !text.includes('__proto__'));

test('what JSON.parse reads is read as the same values, however it is spaced', () => {
  fc.assert(
    fc.property(ANY_JSON, fc.constantFrom('', ' ', '\n', '\t\r\n'), (text, space) => {
      const spaced = `${space}${JSON.stringify(JSON.parse(text), null, space.length)}${space}`;
      expect(withNumbers(parseJson(spaced))).toEqual(JSON.parse(text));
    }),
  );
});

test('what was read is written as it was, digit for digit', () => {
  fc.assert(
    fc.property(ANY_JSON, (text) => {
      expect(jsonText(parseJson(text))).toBe(text);
    }),
  );
});

test('of texts that are almost JSON those are read that JSON.parse reads', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    'a',
    '0',
    '1',
    '-',
    '.',
    'e',
    '+',
    ' ',
    '\n',
    '\u0001',
  ];
  const words = [
    '"a"',
    '"b"',
    '"\\u0041"',
    '"\\""',
    'true',
    'null',
    'tru',
    '1.5e-8',
    '-0',
    '01',
    '{"a":',
    '[1,',
  ];
  const almost = fc.array(fc.constantFrom(...pieces, ...words), { maxLength: 12 }).map((all) => all.join(''));
  fc.assert(
    fc.property(almost, (text) => {
      const expected = parsed(text);
      let value: unknown;
      try {
        value = parseJson(text);
      } catch (error) {
        expect(error).toBeInstanceOf(HttpFault);
        // It is stricter in one thing only that these pieces can say.
        if (expected !== undefined) expect(String(error)).toContain('has a member twice');
        return;
      }
      expect({ value: withNumbers(value) }).toEqual(expected);
    }),
    { numRuns: 3_000 },
  );
});

test.each(['1e-08', '0.1234567890123456789', '12345678901234567890', '-0.0', '1E+2', '0e0'])(
  'the number %s keeps its literal both ways',
  (literal) => {
    expect(jsonText(parseJson(`[${literal}]`))).toBe(`[${literal}]`);
    expect(jsonText({ base: exactNumber(literal) })).toBe(`{"base":${literal}}`);
  },
);

test.each(['', '1,2', '1}', '"1"', 'NaN', 'Infinity', '01', '+1', '.5', '1.', '0x1', ' 1'])(
  'the text %j is not written as a number',
  (text) => {
    expect(() => exactNumber(text)).toThrow(TypeError);
  },
);

test.each([
  ['one long text', `{"prompt":${JSON.stringify('word "quoted" \\ '.repeat(250_000))}}`],
  ['a text of backslashes', `["${'\\\\'.repeat(2_000_000)}"]`],
  ['quotes in a row', `["${'\\"'.repeat(2_000_000)}"]`],
])('4 MB of %s take a fraction of a second', (_what, text) => {
  const start = performance.now();
  expect(withNumbers(parseJson(text))).toEqual(JSON.parse(text));
  // 2 s with a parser that takes texts character by character.
  expect(performance.now() - start).toBeLessThan(1_000);
});
