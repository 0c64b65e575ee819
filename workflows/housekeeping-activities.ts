import { Context } from '@temporalio/activity';
import type { ExperiencesClient } from '../services/client/index.js';
import type { Logger } from '../services/runtime/logger.js';

export interface HousekeepingDependencies {
  readonly admin: Pick<ExperiencesClient['admin'], 'sweepReservations' | 'verify'>;
  readonly prices: Pick<ExperiencesClient['prices'], 'repriceUnpriced'>;
  readonly logger: Logger;
}

/** The service does the work: these only ask for it. Each may be repeated. */
export function createHousekeepingActivities({ admin, prices, logger }: HousekeepingDependencies) {
  return {
    /** One page of reservations whose time is over. */
    async sweepExpired(): Promise<SweptPage> {
      const { unsettledCount, settledCount, more } = await admin.sweepReservations({ maxCount: SWEEP_COUNT });
      return { unsettledCount, settledCount, more };
    },

    /** Events of the last days; older ones are repriced when somebody asks for it. */
    async repriceRecent(): Promise<{ readonly repricedEventCount: string }> {
      const heartbeat = setInterval(() => Context.current().heartbeat(), HEARTBEAT_MS);
      try {
        const startTime = new Date(Date.now() - REPRICE_DAYS * DAY_MS);
        const { repricedEventCount, addedCost } = await prices.repriceUnpriced({ startTime });
        if (repricedEventCount > 0n)
          logger.info({ repricedEventCount: String(repricedEventCount), addedCost }, 'events were repriced');
        return { repricedEventCount: String(repricedEventCount) };
      } finally {
        clearInterval(heartbeat);
      }
    },

    /** Experiences created since yesterday, event by event, and the sums of their days. */
    async verifyRecent(): Promise<VerifiedSample> {
      const sinceTime = new Date(Date.now() - DAY_MS);
      let first: string | undefined;
      for await (const message of admin.verify({ sinceTime, deep: true })) {
        Context.current().heartbeat();
        if ('difference' in message) {
          const { difference } = message;
          logger.error({ difference }, 'the books differ from the events');
          first ??= `${difference.subject} ${difference.figure}`;
        }
        if ('summary' in message) {
          const { eventCount, differenceCount } = message.summary;
          logger.info(
            { eventCount: String(eventCount), differenceCount: String(differenceCount) },
            'books verified',
          );
          return {
            eventCount: String(eventCount),
            differenceCount: String(differenceCount),
            first: first ?? 'not told',
          };
        }
      }
      throw new Error('a verification ended without a summary');
    },
  };
}

export type HousekeepingActivities = ReturnType<typeof createHousekeepingActivities>;

export interface SweptPage {
  readonly unsettledCount: number;
  readonly settledCount: number;
  readonly more: boolean;
}

export interface VerifiedSample {
  /** Counts as digits: they may be larger than a number holds. */
  readonly eventCount: string;
  readonly differenceCount: string;
  readonly first: string;
}

const SWEEP_COUNT = 1_000;
const REPRICE_DAYS = 30;
const DAY_MS = 86_400_000;
const HEARTBEAT_MS = 10_000;
