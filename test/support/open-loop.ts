import { setTimeout as sleep } from 'node:timers/promises';
import { type ExperiencesClient, ExperiencesError } from '../../services/client/index.js';
import { toWireRecord } from '../../services/client/to-wire.js';
import { contract } from '../../services/contract/contract.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { RawClient } from './raw-client.js';

const { RecordUsage, BatchRecordUsage } = contract.UsageService.service;

export interface LoadReport {
  readonly seconds: number;
  /** Events that were sent, and that were recorded. */
  offered: number;
  accepted: number;
  /** How long calls took, in milliseconds: those that were recorded, and those that were refused. */
  readonly acceptedMs: number[];
  readonly refusedMs: number[];
  /** What was answered but a success or that the service is overloaded. */
  readonly others: unknown[];
}

/**
 * Calls that were encoded beforehand, on a few connections: nothing is done for a call but to write its event ids into the
 * bytes. Two of three calls are single ones, the third is a batch.
 */
export class LoadMaker {
  readonly experiences = Array.from({ length: EXPERIENCES }, () => newUuid());
  /** The experience of each event that was answered to be recorded, by event id. */
  readonly accepted = new Map<string, string>();
  readonly #connections: readonly RawClient[];
  readonly #templates: readonly Buffer[];
  readonly #idAt: number;
  #made = 0;
  #calls = 0;

  constructor(address: string) {
    this.#connections = Array.from({ length: CONNECTIONS }, () => new RawClient(address));
    this.#templates = this.experiences.map((experienceId) =>
      BatchRecordUsage.requestSerialize({
        records: [toWireRecord({ ...CALL, eventId: idOf(0), experienceId })],
      }),
    );
    this.#idAt = this.#templates[0]?.indexOf(idOf(0)) ?? -1;
  }

  /** So many calls at a time, each one after the other: as much as the service takes. */
  async closed(seconds: number, callers: number): Promise<LoadReport> {
    const report = newReport(seconds);
    const end = performance.now() + seconds * 1_000;
    const loops = Array.from({ length: callers }, async () => {
      while (performance.now() < end) await this.#send(report);
    });
    await Promise.all(loops);
    return report;
  }

  /** So many events a second, whatever becomes of them; the answer is when every call has its own. */
  async open(seconds: number, eventsPerSecond: number): Promise<LoadReport> {
    const report = newReport(seconds);
    const started = performance.now();
    const open = new Set<Promise<void>>();
    for (let elapsed = 0; elapsed < seconds * 1_000; elapsed = performance.now() - started) {
      const due = (eventsPerSecond * elapsed) / 1_000;
      while (report.offered < due) {
        const call = this.#send(report).finally(() => open.delete(call));
        open.add(call);
      }
      await sleep(TICK_MS);
    }
    await Promise.all(open);
    return report;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  async #send(report: LoadReport): Promise<void> {
    const connection = this.#connections[this.#calls % CONNECTIONS];
    this.#calls += 1;
    if (connection === undefined) throw new Error('there are connections');
    const parts = Array.from({ length: this.#calls % 3 === 0 ? BATCH_SIZE : 1 }, () => this.#next());
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    report.offered += parts.length;
    const sentTime = performance.now();
    try {
      // A single record is encoded as a batch of one is: it is the first field of either message.
      if (parts.length === 1) await connection.callBytes(RecordUsage, bytes, { timeoutMs: CALL_TIME_MS });
      else {
        const { recordedCount } = await connection.callBytes(BatchRecordUsage, bytes, {
          timeoutMs: CALL_TIME_MS,
        });
        if (recordedCount !== parts.length) throw new Error(`${recordedCount} of a batch are recorded`);
      }
      report.acceptedMs.push(performance.now() - sentTime);
      report.accepted += parts.length;
      for (const { id, experienceId } of parts) this.accepted.set(id, experienceId);
    } catch (error) {
      if (isRefusal(error)) report.refusedMs.push(performance.now() - sentTime);
      else report.others.push(error);
    }
  }

  #next(): { readonly id: string; readonly experienceId: string; readonly bytes: Buffer } {
    this.#made += 1;
    const which = this.#made % EXPERIENCES;
    const bytes = Buffer.from(this.#templates[which] ?? Buffer.alloc(0));
    const id = idOf(this.#made);
    bytes.write(id, this.#idAt, 'latin1');
    return { id, experienceId: this.experiences[which] ?? '', bytes };
  }
}

/** The number of which 99 of a hundred are at most. */
export function p99(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
}

/** Makes the type that the experiences of loads are of. */
export async function createLoadType(client: ExperiencesClient): Promise<void> {
  await client.types.create({ name: CALL.experienceType, description: 'A load' });
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof ExperiencesError &&
    error.code === 'RESOURCE_EXHAUSTED' &&
    error.reason === 'OVERLOADED' &&
    error.retryAfterMs === RETRY_AFTER_MS
  );
}

function idOf(number: number): string {
  return `load-${String(number).padStart(9, '0')}`;
}

function newReport(seconds: number): LoadReport {
  return { seconds, offered: 0, accepted: 0, acceptedMs: [], refusedMs: [], others: [] };
}

/** 1,000 tokens in and 500 out: 0.00045 dollars. */
const CALL = {
  ...{ experienceType: 'Load', provider: 'openai', model: 'gpt-4o-mini' },
  units: { text: { input: 1000, output: 500 } },
};
const EXPERIENCES = 64;
const CONNECTIONS = 6;
const BATCH_SIZE = 50;
const TICK_MS = 10;
const CALL_TIME_MS = 20_000;
const RETRY_AFTER_MS = 500;
