import { expect } from 'vitest';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { Uuid } from '../../services/domain/uuid.js';
import type { Books } from './books.js';
import type { MixedCallers, Record } from './mixed-callers.js';

/** What a record does to the books. */
export type Kind = 'first' | 'failed' | 'untyped' | 'typed' | 'unattributed' | 'known';

/**
 * Makes records that move everything a commit writes: events of known and first ones of new experiences, repeated
 * operations, which make earlier successes wasted, experiences that take a type later, and calls of no experience.
 */
export function mixedRecords(kinds: readonly Kind[] = ALL_KINDS): () => Record {
  const known = Array.from({ length: 10 }, () => newUuid());
  const untyped: Uuid[] = [];
  let count = 0;
  let typedCount = 0;
  return () => {
    count += 1;
    const round = Math.floor(count / kinds.length);
    const call = {
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: { text: { input: 1 + (count % 1_000), output: 3 } },
      eventTime: new Date(Date.UTC(2026, 0, 1 + (count % 3), count % 24, count % 60)),
    };
    const experienceId = known[round % 10] ?? '';
    const kind = kinds[count % kinds.length] ?? 'first';
    switch (kind) {
      case 'first':
        return { ...call, experienceId: newUuid(), experienceType: 'Summary' };
      case 'failed':
        return { ...call, experienceId, outcome: 'FAILED' };
      case 'untyped': {
        const id = newUuid();
        untyped.push(id);
        return { ...call, experienceId: id };
      }
      case 'typed':
        // Long after, so that it is not of the same commit.
        typedCount += 1;
        return {
          ...call,
          experienceId: untyped[typedCount - TYPED_AFTER] ?? newUuid(),
          experienceType: 'Summary',
        };
      case 'unattributed':
        return { ...call, operationKey: `operation ${round % 40}` };
      case 'known':
        return {
          ...call,
          experienceId,
          experienceType: 'Summary',
          operationKey: `operation ${Math.floor(round / 10) % 4}`,
        };
      default:
        return kind satisfies never;
    }
  };
}

const TYPED_AFTER = 60;
const ALL_KINDS: readonly Kind[] = [
  ...(['first', 'failed', 'untyped', 'untyped', 'typed', 'typed'] as const),
  ...(['unattributed', 'unattributed', 'known', 'known'] as const),
];

/** What is stored of each event is what its sender said, and its cost is what these units cost. */
export function expectAsSent({ events }: Books, callers: MixedCallers): void {
  const wrong = events.filter(({ id, units, input, output, eventTime }) => {
    const { units: sent, eventTime: sentTime } = callers.recordOf(id);
    const [stored] = units;
    const tokens = BigInt(sent.text?.input ?? 0);
    return !(
      units.length === 1 &&
      stored?.input === tokens &&
      stored.output === 3n &&
      input === tokens * INPUT_TOKEN &&
      output === 3n * OUTPUT_TOKEN &&
      eventTime === sentTime?.getTime()
    );
  });
  expect(wrong).toEqual([]);
}

/** 0.15 and 0.60 dollars a million, in whole numbers of 10^-18. */
const INPUT_TOKEN = 150_000_000_000n;
const OUTPUT_TOKEN = 600_000_000_000n;
