import {
  type ExperiencesClient,
  ExperiencesError,
  type UsageEvent,
  type UsageRecord,
  type UsageRecorder,
} from '../../services/client/index.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { Books, Calls } from './books.js';

/** Callers that record by single calls, batches and streams, and remember what they sent, were told and were refused. */
export class StormCallers implements Calls {
  readonly sent = new Set<string>();
  readonly told = new Map<string, Told>();
  /** What was refused for good, by event id. */
  readonly refused = new Map<string, ExperiencesError>();
  /** What is not known of, as it failed: it may be recorded or not. */
  readonly failures: ExperiencesError[] = [];
  /** How long single calls and batches took, whatever came of them. */
  readonly timesMs: number[] = [];
  /** The event ids of each batch. */
  readonly batches: (readonly string[])[] = [];
  readonly #records = new Map<string, UsageRecord>();

  async record(client: ExperiencesClient, record: UsageRecord): Promise<void> {
    const sent = this.#prepare(record);
    await this.#timed([sent.eventId], async () => {
      const { event } = await client.usage.record(sent);
      this.told.set(sent.eventId, event);
    });
  }

  async batch(client: ExperiencesClient, records: readonly UsageRecord[]): Promise<void> {
    const sent = records.map((record) => this.#prepare(record));
    this.batches.push(sent.map(({ eventId }) => eventId));
    await this.#sendBatch(client, sent);
  }

  /** By a recorder, which sends them on a stream. */
  async stream(recorder: UsageRecorder, records: readonly UsageRecord[]): Promise<void> {
    const sent = records.map((record) => this.#prepare(record));
    const answers = sent.map(async (record) => {
      try {
        this.told.set(record.eventId, await recorder.record(record));
      } catch (error) {
        this.#failed([record.eventId], error);
      }
    });
    await Promise.all(answers);
  }

  /** Of what was sent, what is neither recorded nor refused as far as anybody was told. */
  unanswered(): readonly string[] {
    return [...this.sent].filter((eventId) => !this.told.has(eventId) && !this.refused.has(eventId));
  }

  /** Sends again what was not answered, under the same ids. */
  async resend(client: ExperiencesClient): Promise<void> {
    for (const part of parts(this.unanswered())) await this.#sendBatch(client, this.#sentAs(part));
  }

  /** Sends again all that was told to be recorded; answers the ids of which it is told that they were not. */
  async recordedAnew(client: ExperiencesClient): Promise<readonly string[]> {
    const anew: string[] = [];
    for (const part of parts([...this.told.keys()])) {
      const { results } = await client.usage.recordBatch(this.#sentAs(part));
      for (const { index, ack } of results) {
        const eventId = part[index] ?? '';
        if (ack?.duplicate !== true) anew.push(eventId);
        else this.told.set(eventId, ack); // It may have been priced since.
      }
    }
    return anew;
  }

  #prepare(record: UsageRecord): UsageRecord & { readonly eventId: string } {
    const sent = { ...record, eventId: record.eventId ?? newUuid() };
    this.sent.add(sent.eventId);
    this.#records.set(sent.eventId, sent);
    return sent;
  }

  #sentAs(eventIds: readonly string[]): readonly (UsageRecord & { readonly eventId: string })[] {
    return eventIds.map((eventId) => {
      const record = this.#records.get(eventId);
      if (record === undefined) throw new Error('only what was made here is sent');
      return { ...record, eventId };
    });
  }

  async #sendBatch(
    client: ExperiencesClient,
    sent: readonly (UsageRecord & { readonly eventId: string })[],
  ): Promise<void> {
    await this.#timed(
      sent.map(({ eventId }) => eventId),
      async () => {
        const { results } = await client.usage.recordBatch(sent);
        for (const { index, ack, error } of results) {
          const eventId = sent[index]?.eventId ?? '';
          if (error === undefined) this.told.set(eventId, ack);
          else this.#failed([eventId], error);
        }
      },
    );
  }

  async #timed(eventIds: readonly string[], send: () => Promise<void>): Promise<void> {
    const started = performance.now();
    try {
      await send();
    } catch (error) {
      this.#failed(eventIds, error);
    } finally {
      this.timesMs.push(performance.now() - started);
    }
  }

  #failed(eventIds: readonly string[], error: unknown): void {
    if (!(error instanceof ExperiencesError)) throw error;
    const passing = PASSING.has(error.code) || error.reason === undefined; // Without a reason the answer is not the service's own.
    if (passing) this.failures.push(error);
    else for (const eventId of eventIds) this.refused.set(eventId, error);
  }
}

/** Batches, each of one commit, of which a part is recorded and a part is not: there must be none. */
export function torn(callers: StormCallers, { events }: Books): readonly (readonly string[])[] {
  const stored = new Set(events.map(({ id }) => id));
  return callers.batches.filter((batch) => new Set(batch.map((id) => stored.has(id))).size > 1);
}

type Told = Pick<UsageEvent, 'experienceId' | 'cost'>;

function parts<T>(all: readonly T[]): (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / PART_SIZE) }, (_, part) =>
    all.slice(part * PART_SIZE, (part + 1) * PART_SIZE),
  );
}

const PASSING = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'CANCELLED']);
const PART_SIZE = 500;
