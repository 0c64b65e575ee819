import type { SweepReservationsResponse } from '../contract/generated/experiences/v1/SweepReservationsResponse.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Recorder } from './recorder.js';

/**
 * Closes expired reservations, oldest first, in parts that fit a commit. It answers what is done when half of the caller's
 * time is over, so that the caller hears it and can go on.
 */
export async function sweepReservations(
  ledger: Ledger,
  recorder: Recorder,
  options: { readonly application: string; readonly maxCount: number; readonly deadline: number },
): Promise<Required<SweepReservationsResponse>> {
  const { application, maxCount, deadline } = options;
  const workUntil = Date.now() + (deadline - Date.now()) * WORK_SHARE;
  let [unsettledCount, settledCount] = [0, 0];
  for (let left = maxCount; ; ) {
    const part = Math.min(left, PART_MAX);
    // Read anew each time: what is closed is no longer among the open ones.
    const expired = await ledger.reservations.expired(application, new Date(), part + 1, deadline);
    const more = expired.length > part;
    const states = await recorder.sweep(application, expired.slice(0, part), deadline);
    const closed = states.filter((state) => state !== undefined).length;
    unsettledCount += states.filter((state) => state === 'UNSETTLED').length;
    settledCount += states.filter((state) => state === 'SETTLED').length;
    left -= part;
    if (!more || left <= 0 || closed === 0 || Date.now() >= workUntil)
      return { unsettledCount, settledCount, more };
  }
}

export const SWEEP_COUNT_DEFAULT = 1_000;
export const SWEEP_COUNT_MAX = 10_000;
const PART_MAX = 500;
const WORK_SHARE = 0.5;
