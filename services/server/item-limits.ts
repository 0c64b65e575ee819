import { contract } from '../contract/contract.js';
import type { UsageRecord__Output } from '../contract/generated/experiences/v1/UsageRecord.js';
import { Fault, invalidFields } from '../domain/fault.js';
import { type MessageShape, messageShape, readFields } from './wire-fields.js';

/** How many records a request may hold. They are counted in its bytes, before an object is made of any. */
export interface ItemLimits {
  readonly shape: MessageShape;
  /** The number of the request's field `records`. */
  readonly records: number;
  readonly recordsMax: number;
  /** Whether a request for which there is no room is refused before it is decoded; else it waits for room. */
  readonly sheds: boolean;
}

/** Throws the fault to refuse so many records with. */
export type CheckRoom = (records: number, bytes: number) => void;

/** By the name of the method. */
export const USAGE_LIMITS = {
  BatchRecordUsage: {
    shape: messageShape(contract.BatchRecordUsageRequest),
    records: 1,
    recordsMax: 1_000,
    sheds: true,
  },
  StreamUsage: {
    shape: messageShape(contract.StreamUsageRequest),
    records: 2,
    recordsMax: 500,
    sheds: false,
  },
} as const satisfies Record<string, ItemLimits>;

/**
 * Decodes a request that holds no more than it may; one with too many records is refused as a whole. A record with too
 * many parts is decoded as an empty one and marked: it is bad, and the others of its request are not.
 */
export function withinLimits(
  bytes: Buffer,
  limits: ItemLimits,
  checkRoom: CheckRoom,
  decode: (bytes: Buffer) => unknown,
): unknown {
  let records = 0;
  let others = 0;
  const overfull: { readonly index: number; readonly from: number; readonly to: number }[] = [];
  readFields(bytes, { from: 0, to: bytes.length }, limits.shape, (field, from, to) => {
    if (field !== limits.records) {
      others += 1;
      if (others <= OTHER_FIELDS_MAX) return;
      throw new Fault('INVALID_FIELDS', 'The request has more fields than the contract.');
    }
    if (records >= limits.recordsMax) {
      throw invalidFields([{ field: 'records', description: `has more than ${limits.recordsMax}` }]);
    }
    if (to - from > COUNTED_FROM_BYTES && isOverfull(bytes, from, to)) {
      overfull.push({ index: records, from, to });
    }
    records += 1;
  });
  // Under load, what is refused must not cost what makes the load.
  if (limits.sheds) checkRoom(records, bytes.length);
  if (overfull.length === 0) return decode(bytes);
  const request = decode(withoutContent(bytes, overfull)) as { records: UsageRecord__Output[] };
  for (const { index } of overfull) request.records[index] = OVERFULL_RECORD;
  return request;
}

/** Stands where a record was that has more parts than any good record: nobody made objects of them. */
export const OVERFULL_RECORD: UsageRecord__Output = {
  eventId: '',
  attribution: null,
  provider: '',
  model: '',
  requestedModel: '',
  units: {},
  outcome: 'USAGE_OUTCOME_UNSPECIFIED',
  eventTime: null,
  operationKey: '',
  step: '',
  latencyMs: '0',
  timeToFirstTokenMs: '0',
  httpStatusCode: 0,
  providerRequestId: '',
  providerResponseId: '',
  properties: {},
  workflowSource: null,
};

/** Parts of a record: its fields, each entry of its maps, and each part of its attribution, which holds the tags. */
export const RECORD_PARTS_MAX = 400;

function isOverfull(bytes: Buffer, from: number, to: number): boolean {
  let parts = 0;
  readFields(bytes, { from, to }, RECORD_SHAPE, (field, partFrom, partTo) => {
    parts += 1;
    if (field !== ATTRIBUTION_FIELD) return;
    readFields(bytes, { from: partFrom, to: partTo }, ATTRIBUTION_SHAPE, () => {
      parts += 1;
    });
  });
  return parts > RECORD_PARTS_MAX;
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

const RECORD_SHAPE = messageShape(contract.UsageRecord);
const ATTRIBUTION_SHAPE = messageShape(contract.Attribution);
const ATTRIBUTION_FIELD = 2;
/** A record of fewer bytes cannot have many more parts than it may. */
const COUNTED_FROM_BYTES = 1_024;
/** An encoder writes each at most once. */
const OTHER_FIELDS_MAX = 16;
