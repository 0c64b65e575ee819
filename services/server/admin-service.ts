import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminServiceHandlers } from '../contract/generated/experiences/v1/AdminService.js';
import type { BookDifference as WireDifference } from '../contract/generated/experiences/v1/BookDifference.js';
import type { BookProgress as WireProgress } from '../contract/generated/experiences/v1/BookProgress.js';
import type { BookSummary as WireSummary } from '../contract/generated/experiences/v1/BookSummary.js';
import { Fault } from '../domain/fault.js';
import { typeNameRule } from '../domain/text-rules.js';
import type { BookCheck } from '../ledger/book-check.js';
import type { BookDifference } from '../ledger/book-difference.js';
import type { CheckProgress } from '../ledger/check-scope.js';
import type { Ledger } from '../ledger/ledger.js';
import { apiKeyMethods } from './api-key-methods.js';
import { applicationMethods } from './application-methods.js';
import type { Authenticator } from './authenticator.js';
import { fromWireTime } from './from-wire.js';
import type { Handlers, StreamContext } from './handler.js';
import type { PageTokens } from './page-token.js';
import type { Recorder } from './recorder.js';
import { RequestCheck } from './request-check.js';
import { SWEEP_COUNT_DEFAULT, SWEEP_COUNT_MAX, sweepReservations } from './sweep-reservations.js';
import { toWireTime } from './to-wire.js';

export function adminService(
  ledger: Ledger,
  { recorder, authenticator, tokens }: AdminDependencies,
  handlers: Handlers,
): AdminServiceHandlers {
  const one = new OneAtATime();
  return {
    ...applicationMethods(ledger, authenticator, tokens, handlers),
    ...apiKeyMethods(ledger, authenticator, handlers),

    Verify: handlers.stream(async (request, context) => {
      const check = new RequestCheck();
      const type = check.optional('experience_type', request.experienceType, typeNameRule);
      const since = fromWireTime('since_time', request.sinceTime, check);
      check.done();
      const scope = { application: context.application, type, since, deep: request.deep };
      const summary = await one.run(() => tell(ledger.books.verify(scope, context.signal), context));
      await sendLast(summary, context);
    }),

    Repair: handlers.stream(async (request, context) => {
      const { application, signal } = context;
      const summary = await one.run(() =>
        request.apply
          ? ledger.books.repair(application, signal, (check) => tell(check, context))
          : tell(ledger.books.tryRepair(application, signal), context),
      );
      await sendLast(summary, context);
    }),

    SweepReservations: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      if (request.maxCount < 0) check.bad('max_count', 'must not be negative');
      check.done();
      const maxCount = Math.min(request.maxCount || SWEEP_COUNT_DEFAULT, SWEEP_COUNT_MAX);
      return sweepReservations(ledger, recorder, { application, maxCount, deadline });
    }),
  };
}

interface AdminDependencies {
  readonly recorder: Recorder;
  readonly authenticator: Authenticator;
  readonly tokens: PageTokens;
}

/** When the process is free again: who has the summary may go on to the next call. */
async function sendLast(
  summary: WireSummary | undefined,
  { send }: Pick<StreamContext<BookMessage>, 'send'>,
): Promise<void> {
  if (summary !== undefined) await send({ summary });
}

/** A check reads everything there is; two at once would only slow down each other, and recording with them. */
class OneAtATime {
  #isBusy = false;

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) {
      throw new Fault(
        'BOOK_CHECK_RUNNING',
        'This process verifies or repairs books already, which it does one at a time.',
        { retryAfterMs: BUSY_RETRY_MS },
      );
    }
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }
}

interface BookMessage {
  readonly progress?: WireProgress;
  readonly difference?: WireDifference;
  readonly summary?: WireSummary;
}

/** A caller that stops reading does not hold the lease of a repair, nor the only place of a check, for ever. */
async function taken(sending: Promise<void>): Promise<void> {
  const late = new AbortController();
  const tooLate = sleep(SEND_TIME_MAX_MS, undefined, { signal: late.signal }).then(() => {
    throw new Fault(
      'DEADLINE_EXCEEDED',
      `The caller took no message for ${SEND_TIME_MAX_MS / 1_000} seconds.`,
    );
  });
  tooLate.catch(() => undefined); // Aborted, when what was sent was taken.
  try {
    await Promise.race([sending, tooLate]);
  } finally {
    late.abort();
  }
}

/** Answers the summary; undefined: the caller is gone, or the service stops. */
async function tell(
  check: BookCheck,
  { signal, send }: Pick<StreamContext<BookMessage>, 'signal' | 'send'>,
): Promise<WireSummary | undefined> {
  let told = Promise.resolve();
  let isTelling = false;
  // A caller that takes nothing is sent no more, and the check waits with its next difference.
  const timer = setInterval(() => {
    if (isTelling) return;
    isTelling = true;
    told = send({ progress: toWireProgress(check.progress) }).finally(() => {
      isTelling = false;
    });
  }, PROGRESS_MS);
  try {
    for await (const difference of check.differences()) {
      if (signal.aborted) return undefined;
      if (check.progress.differences <= DIFFERENCES_SENT_MAX)
        await taken(send({ difference: toWireDifference(difference) }));
    }
    clearInterval(timer);
    await told;
    return toWireSummary(check.progress);
  } catch (error) {
    if (!signal.aborted) throw error;
    return undefined;
  } finally {
    clearInterval(timer);
  }
}

function toWireProgress(progress: CheckProgress): WireProgress {
  return {
    phase: `BOOK_PHASE_${progress.phase}`,
    experienceCount: String(progress.experiences),
    experienceCountEstimate: String(progress.experiencesTotal),
    eventCount: String(progress.events),
    eventCountEstimate: String(progress.eventsTotal),
    hourCount: String(progress.hours),
    differenceCount: String(progress.differences),
  };
}

function toWireSummary(progress: CheckProgress): WireSummary {
  return {
    experienceCount: String(progress.experiences),
    eventCount: String(progress.events),
    hourCount: String(progress.hours),
    dayCount: String(progress.days),
    histogramCount: String(progress.histograms),
    differenceCount: String(progress.differences),
    repairedCount: String(progress.repaired),
    notRepairableCount: String(progress.notRepairable),
    limitCount: String(progress.limits),
    reservationCount: String(progress.reservations),
  };
}

function toWireDifference({ subject, state, ...rest }: BookDifference): WireDifference {
  return {
    ...rest,
    ...toWireSubject(subject),
    subject: `BOOK_SUBJECT_${subject.kind}`,
    state: `BOOK_DIFFERENCE_STATE_${state}`,
  };
}

function toWireSubject(subject: BookDifference['subject']): WireDifference {
  switch (subject.kind) {
    case 'EXPERIENCE':
      return { experienceId: subject.experienceId };
    case 'EVENT':
    case 'RESERVATION':
      return { eventId: subject.eventId, experienceId: subject.experienceId ?? '' };
    case 'LIMIT':
      return { limitId: subject.limitId, limitPeriod: subject.period };
    case 'HISTOGRAM':
      return { experienceType: subject.type, experienceVersion: subject.version };
    case 'HOUR_ROLLUP':
    case 'DAY_ROLLUP':
      return {
        experienceType: subject.type,
        experienceVersion: subject.version,
        startTime: toWireTime(subject.start),
        provider: subject.provider,
        model: subject.model,
      };
    default:
      return subject satisfies never;
  }
}

const SEND_TIME_MAX_MS = 60_000;
const PROGRESS_MS = 1_000;
const BUSY_RETRY_MS = 10_000;
/** A program that wants more repairs first. */
const DIFFERENCES_SENT_MAX = 10_000;
