import { describe, expect, test } from 'vitest';
import { chunkRanges } from '../workflows/chunk-ranges.js';
import { SectionPlanner } from '../workflows/section-planner.js';
import { splitDocument } from '../workflows/split-document.js';

const encoder = new TextEncoder();

describe('where the chunks of a text are', () => {
  test.each<
    [
      what: string,
      text: string,
      tokensMax: number,
      offset: number,
      ranges: readonly (readonly [number, number])[],
    ]
  >([
    [
      'counts bytes, not characters',
      'äö.\n\nüü üü.',
      1,
      0,
      [
        [0, 5],
        [7, 4],
        [12, 5],
      ],
    ],
    [
      'leaves out the white space between them',
      '  aaaa aaaa.\n\n bbbb bbbb.',
      4,
      0,
      [
        [2, 10],
        [15, 10],
      ],
    ],
    ['begins at the offset of the text', 'One. Two.', 100, 1_000, [[1_000, 9]]],
    ['has none for white space', ' \n\n ', 100, 0, []],
  ])('%s', (_what, text, tokensMax, offset, ranges) => {
    expect(chunkRanges(text, tokensMax, offset)).toEqual(
      ranges.map(([start, length]) => ({ offset: start, length })),
    );
  });

  test('is where splitDocument has them', () => {
    const text = mixed(40);
    const bytes = encoder.encode(text);
    const read = chunkRanges(text, 120, 0).map(({ offset, length }) =>
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(offset, offset + length)),
    );
    expect(read).toEqual(splitDocument(text, 120));
  });
});

describe('planning sections', () => {
  test.each([1, 2, 7, 64])(
    'of a document in paragraphs cuts into %i at paragraphs only, and loses no byte',
    (count) => {
      const text = mixed(1_000);
      const bytes = encoder.encode(text);
      const sections = plan(bytes).sections(count);
      expect(sections).toHaveLength(count);
      expectWhole(sections, bytes);
      for (const { offset } of sections.slice(1)) {
        expect(new TextDecoder().decode(bytes.subarray(offset - 2, offset))).toBe('\n\n');
      }
    },
  );

  test('gives each about the same weight, whatever its script', () => {
    // The second half has twice the bytes a character and four times the tokens.
    const bytes = encoder.encode(
      `${'word word word.\n\n'.repeat(12_000)}${'слово слово.\n\n'.repeat(12_000)}`,
    );
    const planner = plan(bytes);
    const weights = planner
      .sections(8)
      .map(({ offset, length }) => plan(bytes.subarray(offset, offset + length)).chunkCount(100));
    expect(Math.max(...weights) / Math.min(...weights)).toBeLessThan(1.1);
  });

  test('is the same however the bytes are cut on their way', () => {
    const bytes = encoder.encode(mixed(200));
    const whole = plan(bytes).sections(5);
    for (const partBytes of [1, 3, 4_096]) expect(plan(bytes, partBytes).sections(5)).toEqual(whole);
  });

  test.each([
    ['without a paragraph cuts between words', 'word '.repeat(60_000), / $/],
    ['without a space cuts between characters', '漢'.repeat(150_000), /漢$/],
  ])('of a text %s', (_what, text, before) => {
    const bytes = encoder.encode(text);
    const sections = plan(bytes).sections(4);
    expect(sections.length).toBeGreaterThan(1);
    expectWhole(sections, bytes);
    for (const { offset } of sections.slice(1)) {
      expect(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, offset))).toMatch(before);
    }
  });

  test('counts the tokens of a document as splitDocument does, about', () => {
    const text = mixed(500);
    const counted = plan(encoder.encode(text)).chunkCount(300);
    expect(Math.abs(counted - splitDocument(text, 300).length) / counted).toBeLessThan(0.3);
  });

  test('takes 50 MB within a few seconds', () => {
    const part = encoder.encode(mixed(100));
    const planner = new SectionPlanner();
    const startTime = performance.now();
    for (let bytes = 0; bytes < 50 * 1024 * 1024; bytes += part.length) planner.add(part);
    expect(planner.sections(200)).toHaveLength(200);
    expect(performance.now() - startTime).toBeLessThan(10_000);
  });
});

function plan(bytes: Uint8Array, partBytes = bytes.length): SectionPlanner {
  const planner = new SectionPlanner();
  for (let start = 0; start < bytes.length; start += partBytes)
    planner.add(bytes.subarray(start, start + partBytes));
  return planner;
}

function expectWhole(
  sections: readonly { readonly offset: number; readonly length: number }[],
  bytes: Uint8Array,
): void {
  let end = 0;
  for (const { offset, length } of sections) {
    expect(offset).toBe(end);
    expect(length).toBeGreaterThan(0);
    end += length;
  }
  expect(end).toBe(bytes.length);
}

/** Paragraphs in several scripts. */
function mixed(count: number): string {
  const parts = [
    'The harbour was busy all day, and nobody slept.',
    'Größe und Maß — überall.',
    '港は一日中忙しかった。',
    '🚢 корабль',
  ];
  return Array.from({ length: count }, (_, index) => {
    const part = parts[index % parts.length] ?? '';
    return `Paragraph ${index}. ${`${part} `.repeat(1 + (index % 9)).trim()}`;
  }).join('\n\n');
}
