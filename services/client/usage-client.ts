import { contract } from '../contract/contract.js';
import { type Channel, callUnary } from './call.js';
import { fromWireEvent, fromWireResult, promised } from './from-wire.js';
import {
  fromWireRead,
  fromWireRecorded,
  fromWireReleased,
  fromWireReserved,
} from './from-wire-reservation.js';
import { PAGE_SIZE, type Page, type PageRequest, pages } from './pages.js';
import type { Released, Reserved, UsageReservation } from './reservation-types.js';
import { toWireRecord, toWireReservation } from './to-wire.js';
import type {
  ReadUsage,
  RecordedBatch,
  RecordedUsage,
  RecordOptions,
  UsageEvent,
  UsageRecord,
} from './types.js';
import { UsageRecorder, type UsageRecorderOptions } from './usage-recorder.js';

const methods = contract.UsageService.service;

/** Usage: the paid calls. */
export class UsageClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Resolves when the call is durable and in every sum. */
  async record(record: UsageRecord, options: RecordOptions = {}): Promise<RecordedUsage> {
    const request = { record: toWireRecord(record), ...options };
    return fromWireRecorded(await callUnary(this.#channel, methods.RecordUsage, request));
  }

  /** By its id, or by the provider's id of the answer; of several events with that the one recorded last. */
  async get(
    usage: string | { readonly provider: string; readonly providerResponseId: string },
  ): Promise<ReadUsage> {
    const request = typeof usage === 'string' ? { eventId: usage } : usage;
    return fromWireRead(await callUnary(this.#channel, methods.GetUsage, request));
  }

  /** Labels of a recorded event; what is removed need not be there. */
  async updateProperties(
    eventId: string,
    change: { readonly set?: Readonly<Record<string, string>>; readonly remove?: readonly string[] },
  ): Promise<UsageEvent> {
    const request = { eventId, set: { ...change.set }, remove: [...(change.remove ?? [])] };
    const answer = await callUnary(this.#channel, methods.UpdateUsageProperties, request);
    return fromWireEvent(promised(answer.event));
  }

  /**
   * Holds the estimate of a call against all limits that apply, before it is made. Rejects with LIMIT_REACHED when one
   * refuses: then the call must not be made. Record the call under the same event id, or release it.
   */
  async reserve(reservation: UsageReservation): Promise<Reserved> {
    return fromWireReserved(
      await callUnary(this.#channel, methods.ReserveUsage, { reservation: toWireReservation(reservation) }),
    );
  }

  /** Ends a reservation whose call was never made or cost nothing. */
  async release(eventId: string): Promise<Released> {
    return fromWireReleased(await callUnary(this.#channel, methods.ReleaseUsage, { eventId }));
  }

  /**
   * Up to 1,000 calls at once; resolves when what became of each is known. What is wrong with one is that one's result
   * alone; it rejects only when nothing is known of any.
   */
  async recordBatch(
    records: readonly UsageRecord[],
    options: RecordOptions & { readonly view?: 'FULL' | 'ERRORS_ONLY' } = {},
  ): Promise<RecordedBatch> {
    const { view = 'FULL', ...rules } = options;
    const request = { records: records.map(toWireRecord), view: `BATCH_VIEW_${view}`, ...rules } as const;
    const { results, ...counts } = await callUnary(this.#channel, methods.BatchRecordUsage, request);
    return { ...counts, results: results.map(fromWireResult) };
  }

  /** To record, reserve and release many calls, one by one: all of it travels together on one stream. To be closed. */
  recorder(options: UsageRecorderOptions = {}): UsageRecorder {
    return new UsageRecorder(this.#channel, options);
  }

  /** Of one experience, in the order they were recorded, read page by page. */
  list(experienceId: string): AsyncGenerator<UsageEvent, void, undefined> {
    return pages((pageToken) => this.page(experienceId, { pageSize: PAGE_SIZE, pageToken }));
  }

  async page(experienceId: string, page: PageRequest): Promise<Page<UsageEvent>> {
    const answer = await callUnary(this.#channel, methods.ListUsage, { experienceId, ...page });
    return { items: answer.events.map(fromWireEvent), nextPageToken: answer.nextPageToken };
  }
}
