import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamUsageRequest__Output } from '../contract/generated/experiences/v1/StreamUsageRequest.js';
import type { StreamUsageResponse } from '../contract/generated/experiences/v1/StreamUsageResponse.js';
import { Fault } from '../domain/fault.js';
import type { Attribution } from '../domain/usage.js';
import { fromAttributionMetadata } from './attribution-metadata.js';
import { type BatchView, fromWireView } from './from-wire.js';
import type { DuplexContext } from './handler.js';
import { isPassing } from './item-batch.js';
import type { ItemList } from './overfull-item.js';
import type { Recorder } from './recorder.js';
import { RequestCheck } from './request-check.js';
import { UsageMessage } from './usage-message.js';

type Context = DuplexContext<StreamUsageRequest__Output, StreamUsageResponse>;

/**
 * One stream of usage. A message is answered after its items are durable, and counts as under way until its
 * answer has left, so that neither a slow store nor a slow reader makes more of them than the window holds. What fails a
 * message ends the stream: nothing more is read, what is under way is settled and answered, then the status follows.
 */
export class UsageStream {
  readonly #recorder: Recorder;
  readonly #context: Context;
  readonly #ofCall: Attribution;
  readonly #underWay = new Set<Promise<void>>();
  /** Messages that the service had no room for. While there are any, no other is read. */
  #shed = 0;
  #lastSequence = 0n;

  constructor(recorder: Recorder, context: Context) {
    this.#recorder = recorder;
    this.#context = context;
    const check = new RequestCheck(context);
    this.#ofCall = fromAttributionMetadata(context.metadata, check);
    check.done();
  }

  /** Resolves, with every message answered or failed, when the requests are over; what failed first stopped them. */
  async run(): Promise<void> {
    const { requests } = this.#context;
    try {
      for (;;) {
        while (this.#underWay.size >= MESSAGES_UNDER_WAY_MAX || (this.#shed > 0 && this.#underWay.size > 0)) {
          await Promise.race(this.#underWay);
        }
        const request = await requests.next();
        if (request === undefined) break;
        this.#start(request);
      }
    } catch (error) {
      requests.stop(error);
    }
    await Promise.all(this.#underWay);
  }

  /** Throws for a message that no caller may send, which ends the stream. */
  #start(request: StreamUsageRequest__Output): void {
    const check = new RequestCheck(this.#context);
    const sequence = BigInt(request.sequence);
    if (sequence <= this.#lastSequence) {
      check.bad('sequence', `must be above ${this.#lastSequence}, which was that of the message before`);
    }
    if (request.records.length + request.reservations.length + request.releases.length === 0) {
      check.bad('records', 'is required, or reservations or releases are');
    }
    const view = fromWireView(request.view, check);
    check.done();
    this.#lastSequence = sequence;
    const message = new UsageMessage(request, {
      strictIds: this.#context.strictIds,
      ofCall: this.#ofCall,
    });
    const answered = this.#settle(message, request.sequence, view)
      .catch((error: unknown) => this.#context.requests.stop(error))
      .finally(() => this.#underWay.delete(answered));
    this.#underWay.add(answered);
  }

  async #settle(message: UsageMessage, sequence: string, view: BatchView): Promise<void> {
    const deadline = Date.now() + MESSAGE_TIME_MAX_MS;
    let isShed = false;
    try {
      for (let attempt = 0; !message.isSettled(); attempt += 1) {
        const overload = await this.#write(message, deadline);
        if (overload === undefined) break;
        if (!isShed) this.#shed += 1;
        isShed = true;
        if (Date.now() >= deadline || this.#context.gone.aborted) throw overload;
        await sleep(Math.random() * Math.min(SHED_WAIT_MAX_MS, SHED_WAIT_FIRST_MS * 2 ** attempt));
      }
    } finally {
      if (isShed) this.#shed -= 1;
    }
    await this.#context.send({ ackedSequence: sequence, ...message.toWire(view) });
  }

  /** Settles what it can. Answers the fault if the service has no room for what still waits. */
  async #write(message: UsageMessage, deadline: number): Promise<Fault | undefined> {
    for (const lists of message.steps()) {
      const overload = await this.#writeStep(message, lists, deadline);
      if (overload !== undefined) return overload;
    }
    return undefined;
  }

  async #writeStep(
    message: UsageMessage,
    lists: readonly ItemList[],
    deadline: number,
  ): Promise<Fault | undefined> {
    let overload: Fault | undefined;
    try {
      const items = message.waiting(lists);
      const outcomes = await this.#recorder.writeItems(this.#context.application, items, deadline);
      for (const outcome of [...outcomes.reservations, ...outcomes.records, ...outcomes.releases]) {
        if (!(outcome instanceof Fault) || !isPassing(outcome)) continue;
        if (outcome.reason !== 'OVERLOADED') throw ofMessage(outcome);
        overload = outcome;
      }
      message.settle(lists, outcomes);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.reason !== 'OVERLOADED') throw ofMessage(error);
      overload = error;
    }
    return overload;
  }
}

/** The time of a message is the service's own and not one that the caller gave: when it is over, the store is away. */
function ofMessage(fault: Fault): Fault {
  if (fault.kind !== 'DEADLINE_EXCEEDED') return fault;
  return new Fault('STORE_UNAVAILABLE', 'The store did not settle a message in time; send it again.', {
    retryAfterMs: RETRY_AFTER_MS,
    cause: fault,
  });
}

const MESSAGES_UNDER_WAY_MAX = 16;
/** From reading a message to its items' being durable. Clients wait longer, see services/client/usage-recorder.ts. */
const MESSAGE_TIME_MAX_MS = 10_000;
const SHED_WAIT_FIRST_MS = 50;
const SHED_WAIT_MAX_MS = 500;
const RETRY_AFTER_MS = 1_000;
