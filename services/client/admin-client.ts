import { contract } from '../contract/contract.js';
import type { BookDifference__Output } from '../contract/generated/experiences/v1/BookDifference.js';
import type { BookProgress__Output } from '../contract/generated/experiences/v1/BookProgress.js';
import type { BookSummary__Output } from '../contract/generated/experiences/v1/BookSummary.js';
import type { VerifyResponse__Output } from '../contract/generated/experiences/v1/VerifyResponse.js';
import type { BookCheckMessage, BookDifference, BookProgress, BookSummary } from './book-types.js';
import { type Channel, callUnary, readStream } from './call.js';
import { fromWireTime } from './from-wire.js';
import type { SweepResult } from './reservation-types.js';
import { toWireInt, toWireTime } from './to-wire.js';

const methods = contract.AdminService.service;

/** Operating the service. */
export class AdminClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Compares the books with the recorded events: progress about every second, each difference as it is found, at the end
   * the summary. It takes as long as it takes; leaving the loop ends it.
   */
  async *verify(
    options: { readonly experienceType?: string; readonly sinceTime?: Date; readonly deep?: boolean } = {},
  ): AsyncGenerator<BookCheckMessage, void, undefined> {
    const request = {
      experienceType: options.experienceType ?? '',
      sinceTime: toWireTime(options.sinceTime),
      deep: options.deep ?? false,
    };
    yield* messagesOf(readStream(this.#channel, methods.Verify, request));
  }

  /** Makes the books what the events add up to. Without `apply` nothing is written. */
  async *repair(
    options: { readonly apply?: boolean } = {},
  ): AsyncGenerator<BookCheckMessage, void, undefined> {
    yield* messagesOf(readStream(this.#channel, methods.Repair, { apply: options.apply ?? false }));
  }

  /** Closes reservations whose time is over at their estimates: at most so many, 1,000 if it is not said. */
  async sweepReservations(options: { readonly maxCount?: number } = {}): Promise<SweepResult> {
    const request = { maxCount: toWireInt('maxCount', options.maxCount ?? 0) };
    const { unsettledCount, settledCount, more } = await callUnary(
      this.#channel,
      methods.SweepReservations,
      request,
    );
    return { unsettledCount, settledCount, more };
  }
}

async function* messagesOf(
  stream: AsyncIterable<VerifyResponse__Output>,
): AsyncGenerator<BookCheckMessage, void, undefined> {
  for await (const { progress, difference, summary } of stream) {
    if (progress) yield { progress: fromWireProgress(progress) };
    else if (difference) yield { difference: fromWireDifference(difference) };
    else if (summary) yield { summary: fromWireSummary(summary) };
  }
}

function fromWireProgress(wire: BookProgress__Output): BookProgress {
  return {
    phase: wire.phase.replace('BOOK_PHASE_', '') as BookProgress['phase'],
    experienceCount: BigInt(wire.experienceCount),
    experienceCountEstimate: BigInt(wire.experienceCountEstimate),
    eventCount: BigInt(wire.eventCount),
    eventCountEstimate: BigInt(wire.eventCountEstimate),
    hourCount: BigInt(wire.hourCount),
    differenceCount: BigInt(wire.differenceCount),
  };
}

function fromWireDifference(wire: BookDifference__Output): BookDifference {
  const subject = wire.subject.replace('BOOK_SUBJECT_', '') as BookDifference['subject'];
  const isOfType = subject === 'HOUR_ROLLUP' || subject === 'DAY_ROLLUP' || subject === 'HISTOGRAM';
  return {
    subject,
    experienceId: wire.experienceId || undefined,
    eventId: wire.eventId || undefined,
    experienceType: isOfType ? wire.experienceType : undefined,
    experienceVersion: isOfType ? wire.experienceVersion : undefined,
    startTime: fromWireTime(wire.startTime),
    provider: wire.provider || undefined,
    model: wire.model || undefined,
    limitId: wire.limitId || undefined,
    limitPeriod: wire.limitPeriod || undefined,
    figure: wire.figure,
    expected: wire.expected,
    found: wire.found,
    difference: wire.difference,
    state: wire.state.replace('BOOK_DIFFERENCE_STATE_', '') as BookDifference['state'],
  };
}

function fromWireSummary(wire: BookSummary__Output): BookSummary {
  return {
    experienceCount: BigInt(wire.experienceCount),
    eventCount: BigInt(wire.eventCount),
    hourCount: BigInt(wire.hourCount),
    dayCount: BigInt(wire.dayCount),
    histogramCount: BigInt(wire.histogramCount),
    differenceCount: BigInt(wire.differenceCount),
    repairedCount: BigInt(wire.repairedCount),
    notRepairableCount: BigInt(wire.notRepairableCount),
    limitCount: BigInt(wire.limitCount),
    reservationCount: BigInt(wire.reservationCount),
  };
}
