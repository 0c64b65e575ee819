import type {
  ConversationTurn__Output,
  ConversationTurn as WireTurn,
} from '../contract/generated/experiences/v1/ConversationTurn.js';
import type { RunOutput__Output } from '../contract/generated/experiences/v1/RunOutput.js';
import type { RunStateServiceHandlers } from '../contract/generated/experiences/v1/RunStateService.js';
import { type ConversationTurn, type Passage, TURNS_MAX } from '../domain/conversation.js';
import { STORED_DOCUMENT_BYTES_MAX } from '../domain/document.js';
import { newUuid } from '../domain/new-uuid.js';
import type { RunOutput } from '../domain/run-output.js';
import { eventIdRule, OPERATION_KEY_LENGTH_MAX, shortTextRule, type TextRule } from '../domain/text-rules.js';
import { parseUuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import type { PageTokens } from './page-token.js';
import { RequestCheck } from './request-check.js';
import { toWireTime } from './to-wire.js';

export function runStateService(
  ledger: Ledger,
  tokens: PageTokens,
  handlers: Handlers,
): RunStateServiceHandlers {
  return {
    PutAnswer: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const { content } = request;
      const key = check.required('operation_key', request.operationKey, KEY_RULE);
      if (content.length === 0) check.bad('content', 'is required');
      if (content.length > ANSWER_BYTES_MAX)
        check.bad('content', `has ${content.length} bytes, more than ${ANSWER_BYTES_MAX}`);
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      return ledger.answers.put(application, id, key, content, deadline);
    }),

    GetAnswer: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const key = check.required('operation_key', request.operationKey, KEY_RULE);
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      const content = await ledger.answers.get(application, id, key, deadline);
      return content === undefined ? { found: false } : { found: true, content };
    }),

    AppendTurn: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const turn = fromWireTurn(request.turn, check);
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      const appended = await ledger.turns.append(application, id, turn, deadline);
      return { turn: toWireTurn(appended.turn), alreadyExisted: appended.alreadyExisted };
    }),

    ListTurns: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const { afterNumber, descending } = request;
      const limit = Math.min(check.pageSize(request.pageSize), TURNS_PAGE_MAX);
      const turnId = request.turnId === '' ? undefined : parseUuid(request.turnId);
      if (request.turnId !== '' && turnId === undefined) check.bad('turn_id', 'must be a UUID');
      if (afterNumber < 0) check.bad('after_number', 'must not be negative');
      const id = check.experienceId('experience_id', request.experienceId);
      const scope = ['turns', application, id, turnId, afterNumber, descending];
      const last = fromTokenPosition(tokens.read(request.pageToken, scope, check));
      check.done();
      const above = descending ? afterNumber : Math.max(afterNumber, last ?? 0);
      const below = descending ? last : undefined;
      const wanted = { turnId, above, below, descending, limit: limit + 1 };
      const turns = await ledger.turns.list(application, id, wanted, deadline);
      const { page, last: end } = pageOf(turns, limit, toWireTurn);
      return { turns: page, nextPageToken: end === undefined ? '' : tokens.write([end.number], scope) };
    }),

    PublishRunOutput: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const output = fromWireOutput(request.output, check);
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      await ledger.runOutputs.publish(application, id, output, deadline);
      return {};
    }),
  };
}

type NewTurn = Omit<ConversationTurn, 'number'> & { readonly number: number | undefined };

function fromWireTurn(wire: ConversationTurn__Output | null, check: RequestCheck): NewTurn {
  if (wire === null) check.bad('turn', 'is required');
  check.done();
  const turn = wire ?? NO_TURN;
  const id = parseUuid(turn.turnId);
  if (id === undefined) check.bad('turn.turn_id', turn.turnId === '' ? 'is required' : 'must be a UUID');
  if (turn.number < 0 || turn.number > TURNS_MAX) check.bad('turn.number', `must be from 1 to ${TURNS_MAX}`);
  if (turn.passages.length > PASSAGES_MAX)
    check.bad('turn.passages', `has ${turn.passages.length}, more than ${PASSAGES_MAX}`);
  const passages = turn.passages
    .slice(0, PASSAGES_MAX)
    .map((passage, index) => fromWirePassage(`turn.passages[${index}]`, passage, check));
  return {
    id: id ?? newUuid(), // Of a bad request, which the check refuses.
    number: turn.number === 0 ? undefined : turn.number,
    question: check.required('turn.question', turn.question, lengthRule(QUESTION_LENGTH_MAX)),
    answer: check.optional('turn.answer', turn.answer, lengthRule(ANSWER_LENGTH_MAX)) ?? '',
    passages,
    createTime: new Date(),
  };
}

function fromWirePassage(
  path: string,
  wire: ConversationTurn__Output['passages'][number],
  check: RequestCheck,
): Passage {
  const bytesMax = BigInt(STORED_DOCUMENT_BYTES_MAX);
  if (Buffer.byteLength(wire.text) > PASSAGE_BYTES_MAX)
    check.bad(`${path}.text`, `must be at most ${PASSAGE_BYTES_MAX} bytes`);
  return {
    offset: Number(check.count(`${path}.offset`, wire.offset, bytesMax)),
    length: Number(check.count(`${path}.length`, wire.length, bytesMax)),
    text: wire.text,
  };
}

function fromWireOutput(wire: RunOutput__Output | null, check: RequestCheck): RunOutput {
  if (wire === null) check.bad('output', 'is required');
  check.done();
  const output = wire ?? NO_OUTPUT;
  const { attempt, sequence, text, final } = output;
  if (attempt < 1) check.bad('output.attempt', 'must be at least 1');
  if (sequence < 1 || sequence > OUTPUT_SEQUENCE_MAX)
    check.bad('output.sequence', `must be from 1 to ${OUTPUT_SEQUENCE_MAX}`);
  if (text === '' && !final) check.bad('output.text', 'is required of all but the last');
  check.optional('output.text', text, lengthRule(OUTPUT_LENGTH_MAX));
  const outputKey = check.required('output.output_key', output.outputKey, eventIdRule);
  return { outputKey, attempt, sequence, text, final };
}

export function toWireTurn(turn: ConversationTurn): WireTurn {
  return {
    turnId: turn.id,
    number: turn.number,
    question: turn.question,
    answer: turn.answer,
    passages: turn.passages.map(({ offset, length, text }) => ({
      offset: String(offset),
      length: String(length),
      text,
    })),
    createTime: toWireTime(turn.createTime),
  };
}

function fromTokenPosition(position: unknown): number | undefined {
  if (!Array.isArray(position)) return undefined;
  const [number] = position as readonly unknown[];
  return typeof number === 'number' ? number : undefined;
}

/** What a model wrote may hold any character: it is paid for, and kept as it is. */
function lengthRule(lengthMax: number): TextRule {
  return (text) => (text.length <= lengthMax ? undefined : `must be at most ${lengthMax} characters`);
}

const NO_TURN: ConversationTurn__Output = {
  turnId: '',
  number: 0,
  question: '',
  answer: '',
  passages: [],
  createTime: null,
};
const NO_OUTPUT: RunOutput__Output = { outputKey: '', attempt: 0, sequence: 0, text: '', final: false };
const KEY_RULE = shortTextRule(OPERATION_KEY_LENGTH_MAX);
const ANSWER_BYTES_MAX = 256 * 1024;
const QUESTION_LENGTH_MAX = 16_384;
const ANSWER_LENGTH_MAX = 65_536;
const PASSAGES_MAX = 16;
const PASSAGE_BYTES_MAX = 8 * 1024;
const OUTPUT_LENGTH_MAX = 16_384;
const OUTPUT_SEQUENCE_MAX = 100_000;
const TURNS_PAGE_MAX = 200;
