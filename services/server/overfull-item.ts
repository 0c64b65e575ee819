import { contract } from '../contract/contract.js';
import { type MessageShape, messageShape, readFields } from './wire-fields.js';

/** The lists of items that requests hold, each named as its field is. */
export type ItemList = 'records' | 'reservations' | 'releases';

/**
 * The most parts of an item: its fields, each entry of its maps, and each part of what holds lists or maps of its own, as
 * the attribution with its tags. No good item has as many, and nobody makes objects of one that has more.
 */
export const ITEM_PARTS_MAX = 400;

/** By the bytes of an item, without decoding it. */
export function isOverfull(list: ItemList, bytes: Buffer, from: number, to: number): boolean {
  return to - from > COUNTED_FROM_BYTES && countParts(bytes, from, to, PARTS_OF[list]) > ITEM_PARTS_MAX;
}

/** Says of an item that was decoded without its content that its content was too much. */
export function markOverfull(item: object): void {
  marked.add(item);
}

export function isMarkedOverfull(item: object): boolean {
  return marked.has(item);
}

function countParts(bytes: Buffer, from: number, to: number, { shape, inner }: Parts): number {
  let count = 0;
  readFields(bytes, { from, to }, shape, (field, partFrom, partTo) => {
    count += 1;
    const parts = inner?.get(field);
    if (parts !== undefined) count += countParts(bytes, partFrom, partTo, parts);
  });
  return count;
}

/** A message, and which of its fields are looked into, by their numbers. */
interface Parts {
  readonly shape: MessageShape;
  readonly inner?: ReadonlyMap<number, Parts>;
}

const ATTRIBUTION: Parts = { shape: messageShape(contract.Attribution) };
const ESTIMATE: Parts = {
  shape: messageShape(contract.UsageEstimate),
  inner: new Map([[1, { shape: messageShape(contract.UnitsEstimate) }]]),
};
const PARTS_OF: Readonly<Record<ItemList, Parts>> = {
  records: { shape: messageShape(contract.UsageRecord), inner: new Map([[2, ATTRIBUTION]]) },
  reservations: {
    shape: messageShape(contract.UsageReservation),
    inner: new Map([
      [2, ATTRIBUTION],
      [5, ESTIMATE],
    ]),
  },
  releases: { shape: messageShape(contract.ReleaseUsageRequest) },
};
/** An item of fewer bytes cannot have many more parts than it may. */
const COUNTED_FROM_BYTES = 1_024;
/** Between the decoder and the handler nothing else can be said of a message. */
const marked = new WeakSet<object>();
