import { expect } from 'vitest';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { Books } from './books.js';
import type { MixedCallers, Record } from './mixed-callers.js';

/**
 * Makes records that move everything a commit writes: events of known and new experiences, repeated operations, which
 * make earlier successes wasted, experiences that take a type later, and calls of no experience.
 */
export function mixedRecords(options = { adoptions: true }): () => Record {
  const known = Array.from({ length: 10 }, () => newUuid());
  const untyped = [newUuid(), newUuid()];
  let count = 0;
  return () => {
    count += 1;
    const call = {
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: { text: { input: 1 + (count % 1_000), output: 3 } },
      eventTime: new Date(Date.UTC(2026, 0, 1 + (count % 3), count % 24, count % 60)),
    };
    const experienceId = known[Math.floor(count / 10) % 10] ?? '';
    const kind = count % 10;
    if (!options.adoptions && kind >= 2 && kind <= 5) return { ...call, experienceId: newUuid() };
    switch (kind) {
      case 0:
        return { ...call, experienceId: newUuid(), experienceType: 'Summary' };
      case 1:
        return { ...call, experienceId, outcome: 'FAILED' };
      case 2:
      case 3:
        untyped[kind - 2] = newUuid();
        return { ...call, experienceId: untyped[kind - 2] ?? '' };
      case 4:
      case 5:
        return { ...call, experienceId: untyped[kind - 4] ?? '', experienceType: 'Summary' };
      case 6:
      case 7:
        return { ...call, operationKey: `operation ${Math.floor(count / 10) % 40}` };
      default:
        return {
          ...call,
          experienceId,
          experienceType: 'Summary',
          operationKey: `operation ${Math.floor(count / 100) % 4}`,
        };
    }
  };
}

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
