import { contract } from '../contract/contract.js';
import { type Channel, callUnary } from './call.js';
import { fromWireEvent, fromWireRecorded } from './from-wire.js';
import { PAGE_SIZE, pages } from './pages.js';
import { toWireRecord } from './to-wire.js';
import type { RecordedUsage, UsageEvent, UsageRecord } from './types.js';

const methods = contract.UsageService.service;

/** Usage: the paid calls. */
export class UsageClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Resolves when the call is durable and in every sum. */
  async record(record: UsageRecord): Promise<RecordedUsage> {
    return fromWireRecorded(
      await callUnary(this.#channel, methods.RecordUsage, { record: toWireRecord(record) }),
    );
  }

  /** Of one experience, in the order they were recorded, read page by page. */
  list(experienceId: string): AsyncGenerator<UsageEvent, void, undefined> {
    return pages(async (pageToken) => {
      const request = { experienceId, pageSize: PAGE_SIZE, pageToken };
      const answer = await callUnary(this.#channel, methods.ListUsage, request);
      return { items: answer.events.map(fromWireEvent), nextPageToken: answer.nextPageToken };
    });
  }
}
