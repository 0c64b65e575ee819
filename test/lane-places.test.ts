import { expect, test } from 'vitest';
import { LanePlaces } from '../services/ledger/lane-places.js';

/** Lanes that hold what the test puts there. */
function lanes() {
  const all = [{ waiting: 0 }, { waiting: 0 }];
  const places = new LanePlaces(all);
  return {
    first: all[0] ?? { waiting: 0 },
    places,
    enterAll: (keys: readonly string[], wanted?: number) => keys.map((key) => places.enter(key, wanted)),
  };
}
const keys = Array.from({ length: 200 }, (_, index) => `experience ${index}`);

test('calls with few entries share the first lane while few wait there', () => {
  const { first, places } = lanes();
  expect(places.together(64)).toBe(0);
  expect(places.together(65)).toBeUndefined();
  first.waiting = 32;
  expect(places.together(1)).toBeUndefined();
});

test('what shares no lane is spread over all', () => {
  const { enterAll } = lanes();
  expect(new Set(enterAll(keys, 0))).toEqual(new Set([0]));
  const others = keys.map((key) => `other ${key}`);
  expect(new Set(enterAll(others))).toEqual(new Set([0, 1]));
});

test('an experience stays in its lane while an entry with it is under way', () => {
  const { places, enterAll } = lanes();
  const before = enterAll(keys);
  expect(enterAll(keys, 0)).toEqual(before);
  for (const key of keys) places.leave(key);
  expect(enterAll(keys, 0)).toEqual(before);
  for (const key of keys) {
    places.leave(key);
    places.leave(key);
  }
  expect(new Set(enterAll(keys, 0))).toEqual(new Set([0]));
});
