import { setTimeout as sleep } from 'node:timers/promises';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { LoadResult, PreparedLoad } from './load-result.js';
import { benchClient, type RecordSender, recordSender, StreamEnded } from './record-sender.js';
import { type MessageShape, RequestTemplate } from './request-template.js';

export interface RecordLoadOptions {
  readonly address: string;
  readonly shape: MessageShape;
  readonly inFlight: number;
  readonly connections: number;
  readonly seconds: number;
  /** Absent: as many as are answered. */
  readonly messagesPerSecond?: number;
}

/**
 * So many messages under way at a time until the time is over, each repeated until every record of it is acknowledged. So
 * in the end what was made fresh is exactly what must be in the books.
 */
export async function prepareRecordLoad(options: RecordLoadOptions): Promise<PreparedLoad> {
  const { address, shape, inFlight, connections, messagesPerSecond } = options;
  const clients = Array.from({ length: connections }, () => benchClient(address));
  const hotExperienceId = newUuid();
  const templates = Array.from({ length: inFlight }, () => new RequestTemplate(shape, hotExperienceId));
  await Promise.all(clients.map(connected));
  const senders = clients.map((client) => recordSender(client, shape.call));
  const senderOf = (slot: number): RecordSender => {
    const sender = senders[slot % senders.length];
    if (sender === undefined) throw new Error('a load has at least one connection');
    return sender;
  };
  const before = new Tally();
  if (shape.resentOfTen > 0) {
    // So that there is something to send again as soon as the clock starts.
    const first = templates.map((template, slot) =>
      sendUntilTaken(senderOf(slot), template, shape.records, before, 0),
    );
    await Promise.all(first);
  }
  return {
    async run(): Promise<LoadResult> {
      const tally = new Tally();
      const start = performance.now();
      const end = start + options.seconds * 1_000;
      let messages = 0;
      const slots = templates.map(async (template, slot) => {
        const sender = senderOf(slot);
        for (;;) {
          const due = messagesPerSecond === undefined ? 0 : start + (messages * 1_000) / messagesPerSecond;
          if (Math.max(due, performance.now()) >= end) return;
          messages += 1;
          if (due > performance.now()) await sleep(due - performance.now());
          await sendUntilTaken(sender, template, shape.records, tally, due || performance.now());
        }
      });
      await Promise.all(slots);
      for (const sender of senders) sender.close();
      for (const client of clients) client.close();
      const result = tally.result(performance.now() - start);
      return {
        ...result,
        freshRecords: result.freshRecords + before.freshRecords,
        freshCost: result.freshCost + before.freshCost,
      };
    },
  };
}

async function sendUntilTaken(
  sender: RecordSender,
  template: RequestTemplate,
  records: number,
  tally: Tally,
  since: number,
): Promise<void> {
  const fresh = template.refresh();
  for (let attempt = 1; ; attempt += 1) {
    let problem: unknown;
    try {
      const counts = await sender.send(template);
      if (counts.failed === 0 && counts.recorded + counts.duplicate === records) {
        tally.latenciesMs.push(performance.now() - since);
        tally.acknowledged += records;
        tally.freshRecords += fresh.records;
        tally.freshCost += fresh.cost;
        tally.duplicates += counts.duplicate;
        return;
      }
      problem = new Error(`of ${records} records ${JSON.stringify(counts)}`);
    } catch (error) {
      problem = error;
    }
    tally.repeatedMessages += 1;
    if (attempt >= ATTEMPTS_MAX || problem instanceof StreamEnded) throw problem;
    await sleep(Math.random() * AGAIN_AFTER_MS);
  }
}

class Tally {
  readonly latenciesMs: number[] = [];
  acknowledged = 0;
  freshRecords = 0;
  freshCost = 0n;
  duplicates = 0;
  repeatedMessages = 0;

  result(elapsedMs: number): LoadResult {
    const { acknowledged, freshRecords, freshCost, duplicates, repeatedMessages, latenciesMs } = this;
    return {
      events: acknowledged,
      freshRecords,
      freshCost,
      duplicates,
      repeatedMessages,
      elapsedMs,
      latenciesMs: Float64Array.from(latenciesMs),
    };
  }
}

async function connected(client: ReturnType<typeof benchClient>): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + CONNECT_TIME_MAX_MS, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

const ATTEMPTS_MAX = 100;
const AGAIN_AFTER_MS = 100;
const CONNECT_TIME_MAX_MS = 10_000;
