import { contract } from '../contract/contract.js';
import type { StreamUsageRequest } from '../contract/generated/experiences/v1/StreamUsageRequest.js';
import type { StreamUsageResponse__Output } from '../contract/generated/experiences/v1/StreamUsageResponse.js';
import type { Status__Output } from '../contract/generated/google/rpc/Status.js';
import { type ExperiencesError, fromStatus } from './experiences-error.js';
import { fromWireResult, promised } from './from-wire.js';
import { fromWireReleased, fromWireReserved } from './from-wire-reservation.js';
import type { Released, Reserved } from './reservation-types.js';
import type { UsageAck } from './types.js';

/** One item of a message, in its list. */
export type StreamItem =
  | Pick<StreamUsageRequest, 'records'>
  | Pick<StreamUsageRequest, 'reservations'>
  | Pick<StreamUsageRequest, 'releases'>;

/**
 * An item as the part of a message that holds it: messages of the contract that are put one after the other read as one
 * message with the items of all. So each item is encoded once, however often it is sent, and its size is known.
 */
export function encodeItem(item: StreamItem): Buffer {
  return contract.UsageService.service.StreamUsage.requestSerialize(item);
}

/** What became of the item at `index` of its list. */
export type ItemResult<Answer> =
  | { readonly index: number; readonly answer: Answer; readonly error?: undefined }
  | { readonly index: number; readonly error: ExperiencesError };

/** What became of the items of a message, list by list. */
export interface ItemResults {
  readonly records: readonly ItemResult<UsageAck>[];
  readonly reservations: readonly ItemResult<Reserved>[];
  readonly releases: readonly ItemResult<Released>[];
}

export function fromWireResults({
  results,
  reservationResults,
  releaseResults,
}: StreamUsageResponse__Output): ItemResults {
  return {
    records: results.map((wire) => {
      const { index, ack, error } = fromWireResult(wire);
      return error === undefined ? { index, answer: ack } : { index, error };
    }),
    reservations: reservationResults.map((wire) => fromWireItem(wire, fromWireReserved)),
    releases: releaseResults.map((wire) => fromWireItem(wire, fromWireReleased)),
  };
}

function fromWireItem<Wire, Answer>(
  {
    index,
    response,
    error,
  }: {
    readonly index: number;
    readonly response?: Wire | null;
    readonly error?: Status__Output | null;
  },
  fromWire: (wire: Wire) => Answer,
): ItemResult<Answer> {
  if (error) return { index, error: fromStatus(error) };
  return { index, answer: fromWire(promised(response)) };
}
