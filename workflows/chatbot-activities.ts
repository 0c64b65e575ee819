import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type ExperiencesClient, ExperiencesError } from '../services/client/index.js';
import { CONVERSATION_FULL } from '../services/domain/ask.js';
import { experienceIdOfRun } from '../services/domain/run.js';
import { answerPrompt, passagesUsed } from './answer-prompt.js';
import { callProvider } from './call-provider.js';
import { streamChat } from './chat-stream.js';
import { EMBEDDED_TEXTS_MAX, embedTexts } from './embeddings-client.js';
import { keepPaid, mayPass } from './keep-paid.js';
import type { ModelClientOptions } from './model-client.js';
import { outputAttempt } from './output-attempt.js';
import { type AnswerStore, keepStretch, nearestPassages, readStretch } from './passage-index.js';
import { type PassageText, passagesOfStretch, stretchCount, stretchRange } from './passages.js';
import { RunOutputWriter } from './run-output-writer.js';
import { StretchCache } from './stretch-cache.js';

export interface ChatbotDependencies {
  /** Asked anew in each activity: it is that of the run's application. */
  readonly client: Pick<ExperiencesClient, 'documents' | 'runState' | 'costs'>;
  readonly chatModel: ModelClientOptions;
  readonly embeddingModel: ModelClientOptions;
  /** Where paid calls go; undefined: to the conversation's own task queue. */
  readonly providerTaskQueue: string | undefined;
}

/**
 * The steps of a conversation about a document. Each makes at most one paid call. Documents, their passages and answers
 * stay in the service: histories hold the questions, ids, places and figures.
 */
export function createChatbotActivities(dependencies: ChatbotDependencies) {
  const { client, chatModel, embeddingModel, providerTaskQueue } = dependencies;
  const cache = new StretchCache();

  return {
    /** How the document and the conversation stand when a run of it begins. */
    async openConversation({ documentId }: { readonly documentId: string }): Promise<OpenedConversation> {
      const experienceId = ownExperienceId();
      const { sizeBytes } = await orFail(() => client.documents.get(documentId));
      const turnIds: string[] = [];
      let turnCount = 0;
      const turns = client.runState.listTurns(experienceId, { descending: true, pageSize: TURN_IDS_MAX });
      for await (const { turnId, number } of turns) {
        turnCount = Math.max(turnCount, number);
        turnIds.unshift(turnId);
        if (turnIds.length >= TURN_IDS_MAX) break;
      }
      const sealed = await client.runState.getAnswer(experienceId, sealKey(documentId));
      return {
        documentBytes: sizeBytes,
        stretchCount: stretchCount(sizeBytes),
        indexed: sealed !== undefined,
        turnCount,
        turnIds,
        ...(providerTaskQueue === undefined ? {} : { providerTaskQueue }),
      };
    },

    /** Embeds the passages of one stretch of the document and keeps them; a stretch that is kept costs nothing. */
    async indexStretch({ documentId, documentBytes, index }: StretchInput): Promise<void> {
      const store = answersOf(client, ownExperienceId());
      const key = stretchKey(documentId, index);
      if ((await readStretch(store, key)) !== undefined) return;
      const { offset, length } = stretchRange(index, documentBytes);
      const bytes = await orFail(() => readBytes(client, documentId, offset, length));
      const passages = passagesOfStretch(bytes, index, documentBytes);
      if (passages.length > EMBEDDED_TEXTS_MAX)
        throw new Error('a stretch has more passages than one request takes');
      const vectors =
        passages.length === 0
          ? []
          : await embed(
              passages.map(({ text }) => text),
              `index part ${index + 1}`,
            );
      await keepStretch(
        store,
        key,
        vectors.map((vector, at) => ({ ...placeOf(passages[at]), vector })),
      );
    },

    /** Notes that every stretch is kept. */
    async sealIndex({ documentId }: { readonly documentId: string }): Promise<void> {
      await client.runState.putAnswer(ownExperienceId(), sealKey(documentId), 'sealed');
    },

    /** The places of the passages nearest to the question, best first; in a conversation the question before counts too. */
    async retrievePassages(input: RetrieveInput): Promise<readonly PassagePlace[]> {
      const { documentId, question, passageCount } = input;
      const experienceId = ownExperienceId();
      const [before] = await earlierTurns(client, experienceId, 1);
      const asked = before === undefined ? question : `${before.question}\n${question}`;
      const [vector] = await embed(
        [asked.slice(0, EMBEDDED_CHARACTERS_MAX)],
        `retrieve, turn ${input.number}`,
      );
      if (vector === undefined) throw new Error('one text has one vector');
      const passages = await cache.passages(
        // By the run, not the experience: another application may have the same id.
        `${Context.current().info.workflowExecution?.workflowId}/${documentId}`,
        input.stretchCount,
        async (index) => {
          const stretch = await readStretch(answersOf(client, experienceId), stretchKey(documentId, index));
          if (stretch === undefined) throw indexLost();
          return stretch;
        },
      );
      return nearestPassages(passages, vector, passageCount);
    },

    /**
     * Answers the question from the passages, tells watchers each piece as it is written, and keeps the turn. A turn that is
     * kept is answered as it is, for nothing.
     */
    async answerTurn(input: AnswerInput): Promise<AnsweredTurn> {
      const { documentId, turnId, number, question } = input;
      const experienceId = ownExperienceId();
      const context = Context.current();
      const attemptEndMs = Date.now() + context.info.startToCloseTimeoutMs;
      const signal = context.cancellationSignal;
      for await (const kept of client.runState.listTurns(experienceId, { turnId })) {
        return { turnId, number: kept.number };
      }
      const passages = await orFail(() =>
        Promise.all(input.passages.map((place) => readPassage(client, documentId, place))),
      );
      const earlier = await earlierTurns(client, experienceId, EARLIER_TURNS_MAX);
      const attempt = outputAttempt(context.info, input.tries);
      const output = new RunOutputWriter((part) =>
        client.runState.publishOutput(experienceId, { outputKey: turnId, attempt, ...part }),
      );
      let answer: string;
      try {
        answer = await callProvider(signal, () =>
          streamChat(chatModel, {
            messages: answerPrompt(earlier, passages, question),
            maxOutputTokens: input.answerTokensMax,
            step: `answer, turn ${number}`,
            signal,
            onText: (text) => output.write(text),
          }),
        );
      } catch (error) {
        output.abandon();
        throw error;
      }
      const turn = {
        turnId,
        question,
        answer: answer.slice(0, ANSWER_LENGTH_MAX),
        passages: passagesUsed(answer, passages),
      };
      const kept = await keepPaid(() => client.runState.appendTurn(experienceId, turn), attemptEndMs).catch(
        notKept,
      );
      await output.end();
      return { turnId, number: kept.turn.number };
    },

    /** What the conversation has cost so far, as the service has it. */
    async conversationCost(): Promise<ConversationCost> {
      const { totals } = await client.costs.get(ownExperienceId(), { showDeleted: true });
      return { cost: totals.cost.total, callCount: Number(totals.eventCount) };
    },
  };

  async function embed(texts: readonly string[], step: string): Promise<readonly Float32Array[]> {
    const signal = Context.current().cancellationSignal;
    return callProvider(signal, () => embedTexts(embeddingModel, { texts, step, signal }));
  }
}

export type ChatbotActivities = ReturnType<typeof createChatbotActivities>;

export interface OpenedConversation {
  readonly documentBytes: number;
  readonly stretchCount: number;
  /** Whether all stretches are kept. */
  readonly indexed: boolean;
  readonly turnCount: number;
  /** Of the latest turns, oldest first. */
  readonly turnIds: readonly string[];
  /** Where paid calls go; absent: to the conversation's own task queue. */
  readonly providerTaskQueue?: string;
}

export interface StretchInput {
  readonly documentId: string;
  readonly documentBytes: number;
  readonly index: number;
}

export interface PassagePlace {
  readonly offset: number;
  readonly length: number;
}

export interface RetrieveInput {
  readonly documentId: string;
  readonly stretchCount: number;
  readonly question: string;
  readonly number: number;
  readonly passageCount: number;
}

export interface AnswerInput {
  readonly documentId: string;
  readonly turnId: string;
  readonly number: number;
  readonly question: string;
  readonly passages: readonly PassagePlace[];
  readonly answerTokensMax: number;
  /** How often the turn came to nothing before, in this run. */
  readonly tries: number;
}

export interface AnsweredTurn {
  readonly turnId: string;
  readonly number: number;
}

export interface ConversationCost {
  /** A decimal string in USD. */
  readonly cost: string;
  readonly callCount: number;
}

function ownExperienceId(): string {
  const { workflowExecution } = Context.current().info;
  if (workflowExecution === undefined) throw new Error('a conversation is a workflow');
  return experienceIdOfRun(workflowExecution.workflowId);
}

function answersOf({ runState }: ChatbotDependencies['client'], experienceId: string): AnswerStore {
  return {
    get: (key) => runState.getAnswer(experienceId, key),
    put: async (key, content) => {
      await runState.putAnswer(experienceId, key, content);
    },
  };
}

/** Oldest first. */
async function earlierTurns(
  { runState }: ChatbotDependencies['client'],
  experienceId: string,
  countMax: number,
): Promise<readonly { readonly question: string; readonly answer: string }[]> {
  const turns: { question: string; answer: string }[] = [];
  for await (const { question, answer } of runState.listTurns(experienceId, {
    descending: true,
    pageSize: countMax,
  })) {
    turns.unshift({ question, answer: answer.slice(0, EARLIER_ANSWER_LENGTH_MAX) });
    if (turns.length >= countMax) break;
  }
  return turns;
}

async function readBytes(
  { documents }: ChatbotDependencies['client'],
  documentId: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of documents.read(documentId, { offset, length })) parts.push(part);
  return Buffer.concat(parts);
}

async function readPassage(
  client: ChatbotDependencies['client'],
  documentId: string,
  { offset, length }: PassagePlace,
): Promise<PassageText> {
  const bytes = await readBytes(client, documentId, offset, length);
  return { offset, length, text: bytes.toString('utf8') };
}

function placeOf(passage: PassageText | undefined): PassagePlace {
  if (passage === undefined) throw new Error('every vector has its passage');
  return { offset: passage.offset, length: passage.length };
}

/** A document that is gone does not come back: trying again would only let the caller wait. */
async function orFail<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ExperiencesError && error.code === 'NOT_FOUND')
      throw ApplicationFailure.nonRetryable('The document is not there, or no longer.', 'DocumentNotFound');
    throw error;
  }
}

/** Another attempt would pay for an answer that is not kept, either. */
function notKept(error: unknown): never {
  if (!(error instanceof ExperiencesError) || mayPass(error)) throw error;
  throw error.reason === 'APPLICATION_FULL'
    ? ApplicationFailure.nonRetryable('The conversation has all the turns it may have.', CONVERSATION_FULL)
    : ApplicationFailure.nonRetryable('The service does not keep the turn.', 'TurnNotKept');
}

/** Kept answers have their time; the workflow then indexes the document again. */
function indexLost(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('The index of the document is no longer kept.', INDEX_LOST);
}

function stretchKey(documentId: string, index: number): string {
  return `passages/${documentId}/${index}`;
}

function sealKey(documentId: string): string {
  return `passages/${documentId}/sealed`;
}

/** Type of the failure when a kept index has come to its end. */
export const INDEX_LOST = 'IndexLost';
const TURN_IDS_MAX = 200;
const EARLIER_TURNS_MAX = 6;
const EARLIER_ANSWER_LENGTH_MAX = 8_000;
const EMBEDDED_CHARACTERS_MAX = 8_000;
/** As the contract has it. */
const ANSWER_LENGTH_MAX = 65_536;
