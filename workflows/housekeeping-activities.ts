import { Context } from '@temporalio/activity';
import {
  type Application,
  type BookSummary,
  type ExperiencesClient,
  ExperiencesError,
} from '../services/client/index.js';
import type { Logger } from '../services/runtime/logger.js';

export interface HousekeepingDependencies {
  /** Those that this worker keeps in order: all with the bootstrap key, else that of its key. */
  readonly applications: () => AsyncIterable<Pick<Application, 'applicationId'>>;
  readonly clientOf: (application: string) => {
    readonly admin: Pick<ExperiencesClient['admin'], 'sweepReservations' | 'verify'>;
    readonly prices: Pick<ExperiencesClient['prices'], 'repriceUnpriced'>;
  };
  readonly logger: Logger;
}

/** The service does the work: these only ask for it, one application after the other. Each may be repeated. */
export function createHousekeepingActivities({ applications, clientOf, logger }: HousekeepingDependencies) {
  /**
   * One that fails does not keep the others from their turn: the activity fails at the end, and is repeated for all. While
   * the service is away each of them would only wait for it.
   */
  async function forEachApplication(work: (applicationId: string) => Promise<void>): Promise<void> {
    const failures: unknown[] = [];
    for await (const { applicationId } of applications()) {
      try {
        await work(applicationId);
      } catch (error) {
        if (error instanceof ExperiencesError && error.code === 'UNAVAILABLE') throw error;
        logger.error({ application: applicationId, err: error }, 'an application could not be kept in order');
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  return {
    /** One page of reservations of each application whose time is over. */
    async sweepExpired(): Promise<SweptPage> {
      const sum = { unsettledCount: 0, settledCount: 0, more: false };
      await forEachApplication(async (applicationId) => {
        const swept = await clientOf(applicationId).admin.sweepReservations({ maxCount: SWEEP_COUNT });
        sum.unsettledCount += swept.unsettledCount;
        sum.settledCount += swept.settledCount;
        sum.more ||= swept.more;
      });
      return sum;
    },

    /** Events of the last days; older ones are repriced when somebody asks for it. */
    async repriceRecent(): Promise<{ readonly repricedEventCount: string }> {
      const heartbeat = setInterval(() => Context.current().heartbeat(), HEARTBEAT_MS);
      try {
        const startTime = new Date(Date.now() - REPRICE_DAYS * DAY_MS);
        let count = 0n;
        await forEachApplication(async (applicationId) => {
          const { prices } = clientOf(applicationId);
          const { repricedEventCount, addedCost } = await prices.repriceUnpriced({ startTime });
          count += repricedEventCount;
          if (repricedEventCount > 0n)
            logger.info(
              { application: applicationId, repricedEventCount: String(repricedEventCount), addedCost },
              'events were repriced',
            );
        });
        return { repricedEventCount: String(count) };
      } finally {
        clearInterval(heartbeat);
      }
    },

    /** Experiences created since yesterday, event by event, and the sums of their days. */
    async verifyRecent(): Promise<VerifiedSample> {
      const sinceTime = new Date(Date.now() - DAY_MS);
      let first: string | undefined;
      let [eventCount, differenceCount] = [0n, 0n];
      await forEachApplication(async (application) => {
        let summary: BookSummary | undefined;
        for await (const message of clientOf(application).admin.verify({ sinceTime, deep: true })) {
          Context.current().heartbeat();
          if ('difference' in message) {
            const { difference } = message;
            logger.error({ application, difference }, 'the books differ from the events');
            first ??= `${difference.subject} ${difference.figure} of ${application}`;
          }
          if ('summary' in message) summary = message.summary;
        }
        if (summary === undefined) throw new Error('a verification ended without a summary');
        eventCount += summary.eventCount;
        differenceCount += summary.differenceCount;
      });
      const counts = { eventCount: String(eventCount), differenceCount: String(differenceCount) };
      logger.info(counts, 'books verified');
      return { ...counts, first: first ?? 'not told' };
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
