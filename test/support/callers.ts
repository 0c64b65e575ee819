import { type ExperiencesClient, ExperiencesError, type UsageEvent } from '../../services/client/index.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { Calls } from './books.js';

type Record = Parameters<ExperiencesClient['usage']['record']>[0];

/** Callers that record, and remember what they sent, what they were told, and what failed. */
export class Callers implements Calls {
  readonly sent = new Set<string>();
  readonly told = new Map<string, UsageEvent>();
  readonly failures: ExperiencesError[] = [];
  /** Answers that said `duplicate`. */
  duplicates = 0;
  readonly #records = new Map<string, Record>();

  /** Records one call under a fresh id; a failure is remembered and not thrown, unless it is no answer of a service. */
  async record(client: ExperiencesClient, record: Record): Promise<void> {
    const eventId = newUuid();
    this.#records.set(eventId, { ...record, eventId });
    await this.#send(client, eventId);
  }

  /** Sends everything again that was sent and not answered OK, under the same ids. */
  async resend(client: ExperiencesClient): Promise<void> {
    await Promise.all(this.unanswered().map((eventId) => this.#send(client, eventId)));
  }

  unanswered(): readonly string[] {
    return [...this.sent].filter((eventId) => !this.told.has(eventId));
  }

  /** So many callers at a time, each one call after the other, until told to stop; the answer is when all have ended. */
  async load(
    client: ExperiencesClient,
    callers: number,
    signal: AbortSignal,
    next: () => Record,
  ): Promise<void> {
    const loops = Array.from({ length: callers }, async () => {
      while (!signal.aborted) await this.record(client, next());
    });
    await Promise.all(loops);
  }

  async #send(client: ExperiencesClient, eventId: string): Promise<void> {
    const record = this.#records.get(eventId);
    if (record === undefined) throw new Error('only what was made here is sent');
    this.sent.add(eventId);
    try {
      const { event, duplicate } = await client.usage.record(record);
      this.told.set(eventId, event);
      if (duplicate) this.duplicates += 1;
    } catch (error) {
      if (!(error instanceof ExperiencesError)) throw error;
      this.failures.push(error);
    }
  }
}
