import { describe, expect, test } from 'vitest';
import { estimateTokenCount } from '../workflows/estimate-token-count.js';
import { splitDocument } from '../workflows/split-document.js';

describe('splitting a document', () => {
  test.each<[what: string, text: string, tokensMax: number, chunks: readonly string[]]>([
    ['keeps a short text whole', 'One. Two.', 100, ['One. Two.']],
    ['cuts at paragraphs first', 'aaaa aaaa.\n\nbbbb bbbb.', 4, ['aaaa aaaa.', 'bbbb bbbb.']],
    [
      'joins paragraphs that fit together',
      'aa.\n\nbb.\n\ncccc cccc cccc.',
      4,
      ['aa.\n\nbb.', 'cccc cccc cccc.'],
    ],
    ['cuts a long paragraph at sentences', 'Aaaa aaaa. Bbbb bbbb.', 3, ['Aaaa aaaa.', 'Bbbb bbbb.']],
    ['cuts a long sentence at words', 'aaaa bbbb cccc', 2, ['aaaa', 'bbbb', 'cccc']],
    ['cuts a long word anywhere', 'abcdefgh', 1, ['abcd', 'efgh']],
    ['counts each character of a wide script', '漢字漢字', 2, ['漢字', '漢字']],
    ['leaves out chunks of white space', ' \n\n \n\na', 1, ['a']],
  ])('%s', (_what, text, tokensMax, chunks) => {
    expect(splitDocument(text, tokensMax)).toEqual(chunks);
  });

  test('takes a workflow little time for 512 KiB without a paragraph, however large the chunks', () => {
    const text = 'word '.repeat(104_857);
    for (const tokensMax of [100, 1_200, 100_000]) {
      const startTime = performance.now();
      const chunks = splitDocument(text, tokensMax);
      expect(performance.now() - startTime).toBeLessThan(TIME_MAX_MS);
      expect(chunks.join(' ')).toBe(text.trim());
    }
  });
});

describe('estimating tokens', () => {
  test('answers for a text that names special tokens', () => {
    expect(estimateTokenCount('The end is <|endoftext|>.')).toBeGreaterThan(4);
  });

  test('takes time that grows with the length of a word, not with its square', () => {
    const startTime = performance.now();
    expect(estimateTokenCount('x'.repeat(200_000))).toBeGreaterThan(1_000);
    expect(performance.now() - startTime).toBeLessThan(TIME_MAX_MS);
  });
});

/** Temporal gives a workflow five seconds; these machines may be busy. */
const TIME_MAX_MS = 2_500;
