import { ApplicationFailure, log, proxyActivities } from '@temporalio/workflow';
import type { HousekeepingActivities } from './housekeeping-activities.js';

/**
 * What keeps the books in order, each started by a schedule of its own (`housekeeping-schedules.ts`). They pay for nothing,
 * and what one firing did not do the next one does.
 */

const sweeping = proxyActivities<HousekeepingActivities>({
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '5 minutes',
});
/** These read as much as there is. */
const reading = proxyActivities<HousekeepingActivities>({
  startToCloseTimeout: '1 hour',
  scheduleToCloseTimeout: '2 hours',
  heartbeatTimeout: '1 minute',
  retry: { initialInterval: '10 seconds', maximumAttempts: 5 },
});

/** Closes reservations whose time is over, each by an event at its estimate. */
export async function sweepReservations(): Promise<Swept> {
  let [unsettledCount, settledCount] = [0, 0];
  for (let page = 0; page < SWEEP_PAGES_MAX; page += 1) {
    const swept = await sweeping.sweepExpired();
    unsettledCount += swept.unsettledCount;
    settledCount += swept.settledCount;
    if (!swept.more) break;
  }
  if (unsettledCount > 0) log.warn('reservations were closed unsettled', { unsettledCount, settledCount });
  return { unsettledCount, settledCount };
}

export interface Swept {
  readonly unsettledCount: number;
  readonly settledCount: number;
}

/** Prices events whose model had no price when they were recorded and has one now. */
export async function repriceUnpriced(): Promise<{ readonly repricedEventCount: string }> {
  return reading.repriceRecent();
}

/** Compares the newest books with the recorded events; differences fail the run, so that somebody looks. */
export async function verifySample(): Promise<{ readonly eventCount: string }> {
  const { eventCount, differenceCount, first } = await reading.verifyRecent();
  if (differenceCount === '0') return { eventCount };
  const message = `The books differ from the events in ${differenceCount} figures; the first is ${first}.`;
  throw ApplicationFailure.nonRetryable(message, 'BooksDiffer');
}

/** Bounds one firing: 50,000 reservations. */
const SWEEP_PAGES_MAX = 50;
