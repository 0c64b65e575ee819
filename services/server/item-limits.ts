import { contract } from '../contract/contract.js';
import { Fault, invalidFields } from '../domain/fault.js';
import { type ItemList, isOverfull, markOverfull } from './overfull-item.js';
import { type MessageShape, messageShape, readFields } from './wire-fields.js';

/** How many items a request may hold. They are counted in its bytes, before an object is made of any. */
export interface ItemLimits {
  readonly shape: MessageShape;
  /** The request's lists of items, by the numbers of their fields. */
  readonly lists: ReadonlyMap<number, ItemList>;
  /** Of all lists together. */
  readonly itemsMax: number;
  /** Whether a request for which there is no room is refused before it is decoded; else it waits for room. */
  readonly sheds: boolean;
}

/** Throws the fault to refuse so many items with. */
export type CheckRoom = (items: number, bytes: number) => void;

/** By the name of the method. */
export const USAGE_LIMITS = {
  BatchRecordUsage: {
    shape: messageShape(contract.BatchRecordUsageRequest),
    lists: new Map([[1, 'records']]),
    itemsMax: 1_000,
    sheds: true,
  },
  StreamUsage: {
    shape: messageShape(contract.StreamUsageRequest),
    lists: new Map([
      [2, 'records'],
      [4, 'reservations'],
      [5, 'releases'],
    ]),
    itemsMax: 500,
    sheds: false,
  },
} as const satisfies Record<string, ItemLimits>;

/**
 * Decodes a request that holds no more than it may; one with too many items is refused as a whole. An item with too many
 * parts is decoded as an empty one and marked: it is bad, and the others of its request are not.
 */
export function withinLimits(
  bytes: Buffer,
  limits: ItemLimits,
  checkRoom: CheckRoom,
  decode: (bytes: Buffer) => unknown,
): unknown {
  const counts: Record<ItemList, number> = { records: 0, reservations: 0, releases: 0 };
  let items = 0;
  let others = 0;
  const overfull: {
    readonly list: ItemList;
    readonly index: number;
    readonly from: number;
    readonly to: number;
  }[] = [];
  readFields(bytes, { from: 0, to: bytes.length }, limits.shape, (field, from, to) => {
    const list = limits.lists.get(field);
    if (list === undefined) {
      others += 1;
      if (others <= OTHER_FIELDS_MAX) return;
      throw new Fault('INVALID_FIELDS', 'The request has more fields than the contract.');
    }
    if (items >= limits.itemsMax) throw tooMany(list, limits);
    if (isOverfull(list, bytes, from, to)) overfull.push({ list, index: counts[list], from, to });
    counts[list] += 1;
    items += 1;
  });
  // Under load, what is refused must not cost what makes the load.
  if (limits.sheds) checkRoom(items, bytes.length);
  if (overfull.length === 0) return decode(bytes);
  const request = decode(withoutContent(bytes, overfull)) as Record<ItemList, readonly object[]>;
  for (const { list, index } of overfull) {
    const item = request[list][index];
    if (item === undefined) throw new Error('the decoder finds the items that were counted');
    markOverfull(item);
  }
  return request;
}

function tooMany(list: ItemList, { lists, itemsMax }: ItemLimits): Fault {
  const others = lists.size === 1 ? '' : ', with the other lists,';
  return invalidFields([{ field: list, description: `has${others} more than ${itemsMax}` }]);
}

/** The same message with these fields empty: each with a length of 0 before it. */
function withoutContent(
  bytes: Buffer,
  fields: readonly { readonly from: number; readonly to: number }[],
): Buffer {
  const parts: Buffer[] = [];
  let kept = 0;
  for (const { from, to } of fields) {
    let length = from - 1; // The last byte of the length; those before it say that one follows.
    while (length > kept && (bytes[length - 1] ?? 0) >= 128 && from - length < 5) length -= 1;
    parts.push(bytes.subarray(kept, length), Buffer.of(0));
    kept = to;
  }
  parts.push(bytes.subarray(kept));
  return Buffer.concat(parts);
}

/** An encoder writes each at most once. */
const OTHER_FIELDS_MAX = 16;
