import { expect, test } from 'vitest';
import { LanePlaces } from '../services/ledger/lane-places.js';

/** Lanes that hold what the test puts there. */
function lanes() {
  const all = [{ waiting: 0 }, { waiting: 0 }];
  const places = new LanePlaces(all);
  return {
    first: all[0] ?? { waiting: 0 },
    places,
    enterAll: (keys: readonly string[], entries = 1) => keys.map((key) => places.enter(key, entries)),
  };
}
const keys = Array.from({ length: 200 }, (_, index) => `experience ${index}`);

test('a few entries share one lane, and what comes beyond is spread over all', () => {
  const { first, enterAll } = lanes();
  expect(new Set(enterAll(keys))).toEqual(new Set([0]));
  first.waiting = 32;
  const others = keys.map((key) => `other ${key}`);
  expect(new Set(enterAll(others))).toEqual(new Set([0, 1]));
});

test('a call with many entries is spread, however few wait', () => {
  const { enterAll } = lanes();
  expect(new Set(enterAll(keys, 200))).toEqual(new Set([0, 1]));
});

test('an experience stays in its lane while a call with it is under way', () => {
  const { first, places, enterAll } = lanes();
  first.waiting = 32;
  const before = enterAll(keys);
  first.waiting = 0;
  expect(enterAll(keys)).toEqual(before);
  for (const key of keys) places.leave(key);
  expect(enterAll(keys)).toEqual(before);
  for (const key of keys) {
    places.leave(key);
    places.leave(key);
  }
  expect(new Set(enterAll(keys))).toEqual(new Set([0]));
});
