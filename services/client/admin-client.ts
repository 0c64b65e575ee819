import { contract } from '../contract/contract.js';
import type { BookDifference__Output } from '../contract/generated/experiences/v1/BookDifference.js';
import type { BookProgress__Output } from '../contract/generated/experiences/v1/BookProgress.js';
import type { BookSummary__Output } from '../contract/generated/experiences/v1/BookSummary.js';
import type { VerifyResponse__Output } from '../contract/generated/experiences/v1/VerifyResponse.js';
import { newUuid } from '../domain/new-uuid.js';
import type { ApiKey, Application, Scope } from './application-types.js';
import type { BookCheckMessage, BookDifference, BookProgress, BookSummary } from './book-types.js';
import { type Channel, callUnary, readStream } from './call.js';
import { fromWireTime } from './from-wire.js';
import { fromWireApiKey, fromWireApplication, fromWireScopes } from './from-wire-applications.js';
import { PAGE_SIZE, pages } from './pages.js';
import type { SweepResult } from './reservation-types.js';
import { toWireInt, toWireTime } from './to-wire.js';

const methods = contract.AdminService.service;

/** Operating the service: its books, its applications, and the keys of the caller's application. */
export class AdminClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Who this client's calls come from; any valid key may ask. */
  async caller(): Promise<{
    readonly application: string;
    /** All that it may do. */
    readonly scopes: readonly Scope[];
    readonly isBootstrap: boolean;
  }> {
    const { applicationId, scopes, isBootstrap } = await callUnary(this.#channel, methods.GetCaller, {});
    return { application: applicationId, scopes: fromWireScopes(scopes), isBootstrap };
  }

  /** With the bootstrap key only. The existing application of that id if it has the same content. */
  async createApplication(application: {
    /** 1 to 32 of `a-z`, `0-9` and `-`. */
    readonly applicationId: string;
    readonly description?: string;
    readonly strictIds?: boolean;
  }): Promise<{ readonly application: Application; readonly alreadyExisted: boolean }> {
    const answer = await callUnary(this.#channel, methods.CreateApplication, application);
    return { application: fromWireApplication(answer.application), alreadyExisted: answer.alreadyExisted };
  }

  /** The caller's own, if none is named. */
  async getApplication(applicationId = ''): Promise<Application> {
    const answer = await callUnary(this.#channel, methods.GetApplication, { applicationId });
    return fromWireApplication(answer.application);
  }

  /** In the order of their ids, read page by page; without the bootstrap key the caller's own only. */
  listApplications(): AsyncGenerator<Application, void, undefined> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const answer = await callUnary(this.#channel, methods.ListApplications, request);
      return { items: answer.applications.map(fromWireApplication), nextPageToken: answer.nextPageToken };
    });
  }

  /** Changes the fields that are given. */
  async updateApplication(
    applicationId: string,
    change: { readonly description?: string; readonly strictIds?: boolean },
  ): Promise<Application> {
    const paths = [
      ...(change.description === undefined ? [] : ['description']),
      ...(change.strictIds === undefined ? [] : ['strict_ids']),
    ];
    const request = { applicationId, ...change, updateMask: { paths } };
    const answer = await callUnary(this.#channel, methods.UpdateApplication, request);
    return fromWireApplication(answer.application);
  }

  /** A key of the caller's application. Its text is shown this once. */
  async createKey(key: {
    readonly scopes: readonly Scope[];
    readonly description?: string;
    /** The same again within ten minutes gives the same key a new secret. Absent: one is made here, for retries. */
    readonly requestId?: string;
  }): Promise<{ readonly key: ApiKey; readonly keyText: string }> {
    const scopes = key.scopes.map((scope) => `SCOPE_${scope}` as const);
    const request = { ...key, scopes, requestId: key.requestId ?? newUuid() };
    const answer = await callUnary(this.#channel, methods.CreateApiKey, request);
    return { key: fromWireApiKey(answer.apiKey), keyText: answer.keyText };
  }

  /** Those of the caller's application, newest first, revoked ones too. */
  async listKeys(): Promise<readonly ApiKey[]> {
    const { apiKeys } = await callUnary(this.#channel, methods.ListApiKeys, {});
    return apiKeys.map(fromWireApiKey);
  }

  /** Ends a key of the caller's application, everywhere within two seconds. */
  async revokeKey(keyId: string): Promise<ApiKey> {
    const answer = await callUnary(this.#channel, methods.RevokeApiKey, { keyId });
    return fromWireApiKey(answer.apiKey);
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
