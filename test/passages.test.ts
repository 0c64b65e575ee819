import { describe, expect, test } from 'vitest';
import { answerPrompt, passagesUsed } from '../workflows/answer-prompt.js';
import { nearestPassages } from '../workflows/passage-index.js';
import { passagesOfStretch, stretchCount, stretchRange } from '../workflows/passages.js';

describe('the passages of a document', () => {
  const texts = [
    [
      'words in lines',
      Array.from({ length: 90_000 }, (_, n) => `word${n}${n % 9 === 8 ? '\n' : ' '}`).join(''),
    ],
    ['a script without spaces', '島の灯台は高い。'.repeat(40_000)],
    ['wide white space', 'The lamp was lit at six.\u3000\u3000'.repeat(4_000)],
    ['one endless word', 'é'.repeat(400_000)],
    ['nearly nothing', 'One.'],
  ] as const;
  test.each(texts)(
    'of %s lose nothing but white space, take nothing twice, and are at their places',
    (_, text) => {
      const bytes = Buffer.from(text);
      const passages = Array.from({ length: stretchCount(bytes.length) }, (_value, index) => {
        const { offset, length } = stretchRange(index, bytes.length);
        return passagesOfStretch(bytes.subarray(offset, offset + length), index, bytes.length);
      }).flat();
      let end = 0;
      for (const { offset, length, text: passage } of passages) {
        expect(bytes.subarray(end, offset).toString().trim()).toBe('');
        expect(bytes.subarray(offset, offset + length).toString() === passage).toBe(true);
        expect(length).toBeLessThanOrEqual(3_200);
        end = offset + length;
      }
      expect(bytes.subarray(end).toString().trim()).toBe('');
    },
  );
});

test('the nearest passages come best first, of equal ones the earlier, and no more than asked for', () => {
  const passage = (offset: number, ...vector: number[]) => ({
    offset,
    length: 1,
    vector: Float32Array.from(vector),
  });
  const passages = [passage(0, 0, 1), passage(1, 1, 0), passage(2, 0.6, 0.8), passage(3, 1, 0)];
  expect(nearestPassages(passages, Float32Array.of(1, 0), 3).map(({ offset }) => offset)).toEqual([1, 3, 2]);
});

describe('the passages that an answer used', () => {
  const passages = [
    { offset: 0, length: 1, text: 'The lighthouse is 31\nmetres tall. It is white.' },
    { offset: 9, length: 1, text: 'The harbour has room for 240 boats.' },
  ];
  const cases = [
    ['names by its number', 'It holds 240 [2].', [9]],
    ['takes a sentence from', 'The lighthouse is 31 metres tall.', [0]],
    ['quotes', 'It says “The harbour has room for 240 boats.”', [9]],
  ] as const;
  test.each(cases)('are those it %s', (_, answer, offsets) => {
    expect(passagesUsed(answer, passages).map(({ offset }) => offset)).toEqual(offsets);
  });

  test('are all it was given when it names none', () => {
    expect(passagesUsed('Nobody knows.', passages)).toEqual(passages);
  });

  test('stand in the prompt by number, after what was said before, with the question on one line', () => {
    const prompt = answerPrompt([{ question: 'Q1', answer: 'A1' }], passages, 'How\nmany?');
    expect(prompt.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(prompt.at(-1)?.content).toContain(
      '[2]\nThe harbour has room for 240 boats.\n\nQuestion: How many?',
    );
  });
});
