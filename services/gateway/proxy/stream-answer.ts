import type { ServerResponse } from 'node:http';
import type { UsageOutcome } from '../../domain/usage.js';
import { EventSplitter, eventText, partText, type StreamPart } from '../../providers/event-stream.js';
import { addMember } from '../../providers/json-member.js';
import type { ProviderStream, StreamEvent, StreamStep } from '../../providers/provider-contract.js';
import { jsonText } from '../json-text.js';
import { AnswerReader } from './answer-reader.js';
import type { Settled } from './call-books.js';
import { ClientWriter } from './client-writer.js';
import { answerHeaders } from './header-rules.js';
import {
  type AnswerHead,
  answerOrElse,
  cutOutcome,
  type ProxiedCall,
  promptAnswer,
  resultOf,
} from './proxied-call.js';
import type { UpstreamAnswer } from './upstreams.js';

/**
 * Passes a stream of server-sent events on as it comes. Before the event that carries the result is sent, and with it the
 * protocol's end, the call is settled: what a caller has seen whole is in the ledger.
 */
export class StreamAnswer {
  readonly #call: ProxiedCall;
  readonly #head: AnswerHead;
  readonly #stream: ProviderStream;
  readonly #writer: ClientWriter;
  readonly #response: ServerResponse;
  readonly #splitter = new EventSplitter();
  /** To be written next. */
  #out = '';
  #timeToFirstTokenMs: number | undefined;
  #settled: Settled | undefined;
  #isEnded = false;

  constructor(call: ProxiedCall, head: AnswerHead, response: ServerResponse) {
    this.#call = call;
    this.#head = head;
    this.#response = response;
    this.#stream = call.wire.openStream(call.request);
    this.#writer = new ClientWriter(response);
  }

  /** Resolves when the caller was sent the end, or was cut off. */
  async run({ statusCode, headers, body }: UpstreamAnswer): Promise<Settled> {
    this.#response.writeHead(statusCode, answerHeaders(headers));
    this.#response.flushHeaders();
    const reader = new AnswerReader(body, this.#call.end.signal);
    try {
      while (await this.#read(reader)) await this.#flush();
      for (const part of this.#splitter.end()) await this.#take(part);
      await this.#pass(this.#end(), this.#endOutcome());
      const settled = await this.#settle(this.#endOutcome());
      await this.#flush();
      this.#writer.end();
      return settled;
    } catch (error) {
      return await this.#cut(error);
    } finally {
      reader.close();
    }
  }

  /** A function of its own, so that nothing holds what was read while it is written. */
  async #read(reader: AnswerReader): Promise<boolean> {
    const bytes = await reader.next();
    if (bytes === undefined) return false;
    this.#timeToFirstTokenMs ??= this.#call.books.elapsedMs;
    for (const part of this.#splitter.feed(bytes)) {
      const settling = this.#take(part);
      if (settling !== undefined) await settling;
    }
    return true;
  }

  /** undefined: it goes on as it came, like most parts, and there is nothing to wait for. */
  #take(part: StreamPart): Promise<void> | undefined {
    if ('event' in part) return this.#pass(this.#stream.push(part.event));
    this.#out += partText(part);
    return undefined;
  }

  #pass(step: StreamStep, outcome: UsageOutcome = 'SUCCEEDED'): Promise<void> | undefined {
    for (const event of step.forward) this.#out += eventText(event);
    if (step.result === undefined && step.afterResult === undefined) return undefined;
    return this.#passResult(step, outcome);
  }

  async #passResult({ result, afterResult }: StreamStep, outcome: UsageOutcome): Promise<void> {
    await this.#flush();
    const settled = await this.#settle(outcome);
    if (result !== undefined) this.#out += eventText(this.#withResult(result, settled));
    for (const event of afterResult ?? []) this.#out += eventText(event);
  }

  /** A stream that ends before the protocol's own end has failed, however cleanly it ends. */
  #endOutcome(): UsageOutcome {
    return this.#answer().complete ? 'SUCCEEDED' : 'FAILED';
  }

  #withResult(event: StreamEvent, settled: Settled): StreamEvent {
    const isFailed = this.#answer().failed === true;
    const result = jsonText(resultOf(this.#call, settled, isFailed));
    return { ...event, data: addMember(event.data, 'xproxy_result', result) };
  }

  /** What the stream still held back, once. */
  #end(): StreamStep {
    if (this.#isEnded) return { forward: [] };
    this.#isEnded = true;
    return this.#stream.end();
  }

  async #flush(): Promise<void> {
    // As bytes: what the connection cannot take at once of a text it copies.
    const bytes = Buffer.from(this.#out);
    this.#out = '';
    await this.#writer.write(bytes);
  }

  #answer(): ReturnType<ProviderStream['answer']> {
    return answerOrElse(
      this.#call,
      () => this.#stream.answer(),
      () => ({ ...promptAnswer(this.#call), complete: false }),
    );
  }

  async #settle(outcome: UsageOutcome): Promise<Settled> {
    if (this.#settled !== undefined) return this.#settled;
    const answer = this.#answer();
    this.#settled = await this.#call.books.settle({
      ...this.#head,
      ...(this.#timeToFirstTokenMs === undefined ? {} : { timeToFirstTokenMs: this.#timeToFirstTokenMs }),
      outcome: this.#outcome(outcome, answer.failed === true),
      answer: answer.units === undefined ? { ...answer, ...promptAnswer(this.#call) } : answer,
    });
    return this.#settled;
  }

  /** What nobody was there to read is cancelled, though all of it came. */
  #outcome(outcome: UsageOutcome, isFailed: boolean): UsageOutcome {
    if (this.#call.end.hasLeft()) return 'CANCELLED';
    return isFailed && outcome === 'SUCCEEDED' ? 'FAILED' : outcome;
  }

  /** The caller sees all that came, and then a connection that breaks. A fault of ours is settled too, and rises. */
  async #cut(error: unknown): Promise<Settled> {
    const { forward, result, afterResult } = this.#end();
    const held = [...forward, ...(result === undefined ? [] : [result]), ...(afterResult ?? [])];
    const outcome = cutOutcome(this.#call, error);
    const settled = await this.#settle(outcome ?? 'FAILED');
    this.#out += held.map(eventText).join('');
    await this.#flush();
    await this.#writer.cut();
    if (outcome === undefined) throw error;
    return settled;
  }
}
