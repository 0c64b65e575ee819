import { contract } from '../contract/contract.js';
import { type Channel, callUnary } from './call.js';
import { fromWireTurn } from './from-wire-run-state.js';
import { PAGE_SIZE, pages } from './pages.js';
import type { ConversationTurn, NewConversationTurn, RunOutput } from './run-state-types.js';
import { toWireInt, toWireWhole } from './to-wire.js';

const methods = contract.RunStateService.service;

/** What runs keep outside of their histories; for workers. */
export class RunStateClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Keeps the result of a finished step for 30 days, and answers what is kept: the first result under the key. */
  async putAnswer(
    experienceId: string,
    operationKey: string,
    content: Uint8Array | string,
  ): Promise<{ readonly content: Uint8Array; readonly alreadyExisted: boolean }> {
    const request = { experienceId, operationKey, content: Buffer.from(content) };
    const answer = await callUnary(this.#channel, methods.PutAnswer, request);
    return { content: answer.content, alreadyExisted: answer.alreadyExisted };
  }

  /** undefined: the step has no result yet. */
  async getAnswer(experienceId: string, operationKey: string): Promise<Uint8Array | undefined> {
    const answer = await callUnary(this.#channel, methods.GetAnswer, { experienceId, operationKey });
    return answer.found ? answer.content : undefined;
  }

  /** Answers the turn that is kept: the first one under the id. */
  async appendTurn(
    experienceId: string,
    turn: NewConversationTurn,
  ): Promise<{ readonly turn: ConversationTurn; readonly alreadyExisted: boolean }> {
    const wire = {
      turnId: turn.turnId,
      number: toWireInt('number', turn.number ?? 0),
      question: turn.question,
      answer: turn.answer,
      passages: (turn.passages ?? []).map(({ offset, length, text }) => ({
        offset: toWireWhole('offset', offset),
        length: toWireWhole('length', length),
        text,
      })),
    };
    const answer = await callUnary(this.#channel, methods.AppendTurn, { experienceId, turn: wire });
    return { turn: fromWireTurn(answer.turn), alreadyExisted: answer.alreadyExisted };
  }

  /** By their numbers, read page by page. */
  listTurns(
    experienceId: string,
    options: {
      readonly turnId?: string;
      readonly afterNumber?: number;
      readonly descending?: boolean;
      /** For a reader that needs but a few; at most 200. */
      readonly pageSize?: number;
    } = {},
  ): AsyncGenerator<ConversationTurn, void, undefined> {
    return pages(async (pageToken) => {
      const afterNumber = toWireInt('afterNumber', options.afterNumber ?? 0);
      const pageSize = toWireInt('pageSize', options.pageSize ?? PAGE_SIZE);
      const request = { ...options, experienceId, afterNumber, pageSize, pageToken };
      const answer = await callUnary(this.#channel, methods.ListTurns, request);
      return { items: answer.turns.map(fromWireTurn), nextPageToken: answer.nextPageToken };
    });
  }

  /** Tells the watchers of a run what a step is just writing. Send the parts of an attempt one after the other. */
  async publishOutput(experienceId: string, output: RunOutput): Promise<void> {
    const attempt = toWireInt('attempt', output.attempt);
    const sequence = toWireInt('sequence', output.sequence);
    const request = { experienceId, output: { ...output, attempt, sequence } };
    await callUnary(this.#channel, methods.PublishRunOutput, request);
  }
}
