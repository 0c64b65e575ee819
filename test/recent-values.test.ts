import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { RecentValues } from '../services/server/recent-values.js';

/** A store whose reads are answered when the test says so. */
class SlowStore {
  readonly reads: { readonly key: string; answer(value: string | undefined): void; fail(): void }[] = [];

  readonly read = (key: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      this.reads.push({ key, answer: resolve, fail: () => reject(new Error('the store is away')) });
    });
}

async function known(
  whenStoreIsAway: 'refuse' | 'go on',
): Promise<{ store: SlowStore; values: RecentValues<string> }> {
  const store = new SlowStore();
  const values = new RecentValues(store.read, { whenStoreIsAway });
  const first = values.get('a');
  store.reads[0]?.answer('first');
  expect(await first).toBe('first');
  return { store, values };
}

/** Longer than a value may be used without asking again. */
const OLD_MS = 1_600;

describe('what was read a moment ago', () => {
  test('is read once for all who ask at the same time, and not again while it is new', async () => {
    const store = new SlowStore();
    const values = new RecentValues(store.read, { whenStoreIsAway: 'refuse' });
    const asked = [values.get('a'), values.get('a'), values.get('b')];
    expect(store.reads.map(({ key }) => key)).toEqual(['a', 'b']);
    store.reads[0]?.answer('first');
    store.reads[1]?.answer(undefined);
    expect(await Promise.all(asked)).toEqual(['first', 'first', undefined]);
    expect(await values.get('a')).toBe('first');
    expect(store.reads).toHaveLength(2);
    // What does not exist may be there a moment later.
    void values.get('b');
    expect(store.reads).toHaveLength(3);
  });

  test('is read anew before its time is over, without making anybody wait', async () => {
    const { store, values } = await known('refuse');
    await sleep(800);
    expect(await values.get('a')).toBe('first');
    expect(store.reads).toHaveLength(2);
    store.reads[1]?.answer('second');
    await sleep(0);
    expect(await values.get('a')).toBe('second');
  });

  test('is not used when its time is over: who asks waits, and hears when it cannot be read', async () => {
    const { store, values } = await known('refuse');
    await sleep(OLD_MS);
    const waiting = values.get('a');
    const answered = await Promise.race([waiting, sleep(500, 'waits')]);
    expect(answered).toBe('waits');
    store.reads[1]?.fail();
    await expect(waiting).rejects.toThrow('the store is away');
  });

  test('is used on where that does no harm, when the store does not answer or cannot', async () => {
    const { store, values } = await known('go on');
    await sleep(OLD_MS);
    expect(await values.get('a')).toBe('first'); // Not answered at all.
    const failing = values.get('a');
    store.reads[1]?.fail();
    expect(await failing).toBe('first');
    const next = values.get('a');
    store.reads[2]?.answer('third');
    expect(await next).toBe('third');
  });

  test('is forgotten at once, with what is being read just then', async () => {
    const { store, values } = await known('refuse');
    await sleep(800);
    void values.get('a');
    values.clear();
    store.reads[1]?.answer('of before');
    await sleep(0);
    const asked = values.get('a');
    store.reads[2]?.answer('of after');
    expect(await asked).toBe('of after');
    expect(await values.get('a')).toBe('of after');
  });

  test('is bounded: so many keys are read at a time, and so many calls wait', async () => {
    const store = new SlowStore();
    const values = new RecentValues(store.read, { whenStoreIsAway: 'refuse' });
    const overloaded = { reason: 'OVERLOADED', retryAfterMs: 500 };
    const keys = Array.from({ length: 256 }, (_, n) => values.get(`key ${n}`));
    await expect(values.get('one more')).rejects.toMatchObject(overloaded);
    const same = Array.from({ length: 744 }, () => values.get('key 0'));
    await expect(values.get('key 0')).rejects.toMatchObject(overloaded);
    for (const { answer } of store.reads) answer('found');
    expect(new Set(await Promise.all([...keys, ...same]))).toEqual(new Set(['found']));
    expect(await values.get('key 0')).toBe('found');
  });
});
