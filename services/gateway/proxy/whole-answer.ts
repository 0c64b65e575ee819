import type { FastifyReply } from 'fastify';
import { NOTHING_USED } from '../../providers/estimated-units.js';
import { beginningOfJson } from '../../providers/json-beginning.js';
import { addMember } from '../../providers/json-member.js';
import type { ProviderAnswer } from '../../providers/provider-contract.js';
import { HttpFault } from '../http-fault.js';
import { jsonText } from '../json-text.js';
import { AnswerReader } from './answer-reader.js';
import type { Settled } from './call-books.js';
import { answerHeaders } from './header-rules.js';
import { isCoded } from './plain-answer.js';
import {
  type AnswerHead,
  answerOrElse,
  cutOutcome,
  type ProxiedCall,
  promptAnswer,
  resultOf,
} from './proxied-call.js';
import type { UpstreamAnswer } from './upstreams.js';

/** An answer that is read whole, settled, and then sent on with the result in it. */
export async function wholeAnswer(
  call: ProxiedCall,
  answer: UpstreamAnswer,
  head: AnswerHead,
  reply: FastifyReply,
): Promise<Settled> {
  const bytes = await bodyOf(call, answer, head);
  const json = jsonOf(bytes, answer);
  const told = tellOf(call, json);
  const settled = await call.books.settle({
    ...head,
    // What nobody is there to read is cancelled, though all of it came.
    outcome: call.end.hasLeft() ? 'CANCELLED' : told.failed === true ? 'FAILED' : 'SUCCEEDED',
    answer: told,
  });
  const members = { xproxy_result: resultOf(call, settled, told.failed === true) };
  sendAnswer(reply, answer, json === undefined ? bytes : withMembers(json.text, members));
  return settled;
}

/** A provider's refusal: nothing was paid. Its body is kept, and what is ours is added. */
export async function errorAnswer(
  call: ProxiedCall,
  answer: UpstreamAnswer,
  head: AnswerHead,
  reply: FastifyReply,
): Promise<Settled> {
  const { statusCode } = answer;
  const [bytes, settled] = await Promise.all([
    readWhole(call, answer).catch(() => undefined), // Without its body it is a refusal all the same.
    call.books.settle({ ...head, outcome: 'FAILED' }),
  ]);
  const message = `The provider answered with status ${statusCode}.`;
  const json = bytes === undefined ? undefined : jsonOf(bytes, answer);
  const ours = {
    xproxy_error: { code: 'provider_error', message },
    xproxy_result: resultOf(call, settled, true),
  };
  if (bytes === undefined)
    throw new HttpFault(502, 'provider_error', message, { result: ours.xproxy_result });
  const record = json?.value;
  const members = {
    ...(isRecord(record) && 'statusCode' in record ? {} : { statusCode }),
    ...(isRecord(record) && 'message' in record ? {} : { message }),
    ...ours,
  };
  sendAnswer(reply, answer, json === undefined ? bytes : withMembers(json.text, members));
  return settled;
}

/** Throws HttpFault, with the result, when the provider did not send all of it. */
async function bodyOf(call: ProxiedCall, answer: UpstreamAnswer, head: AnswerHead): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    return await readWhole(call, answer, parts);
  } catch (error) {
    const outcome = cutOutcome(call, error);
    const settled = await call.books.settle({
      ...head,
      outcome: outcome ?? 'FAILED',
      answer: answerOrElse(
        call,
        () => cutAnswer(call, Buffer.concat(parts)),
        () => promptAnswer(call),
      ),
    });
    if (outcome === undefined) throw error;
    throw new HttpFault(502, 'provider_error', 'The provider did not send its whole answer.', {
      result: resultOf(call, settled),
      cause: error,
    });
  }
}

/** What was paid before the cut: what the part that came says or, where it does not, its text. */
function cutAnswer(call: ProxiedCall, bytes: Buffer): ProviderAnswer {
  const value = beginningOfJson(new TextDecoder().decode(bytes, { stream: true }));
  const answer = value === undefined ? undefined : call.wire.readAnswer(value, call.request);
  return answer?.units === undefined ? { ...answer, ...promptAnswer(call) } : answer;
}

async function readWhole(
  { end }: ProxiedCall,
  { body }: UpstreamAnswer,
  parts: Buffer[] = [],
): Promise<Buffer> {
  const reader = new AnswerReader(body, end.signal);
  try {
    return await reader.whole(parts);
  } finally {
    reader.close();
  }
}

interface JsonAnswer {
  readonly text: string;
  readonly value: unknown;
}

/** undefined: the body is no JSON object that can be read and added to. */
function jsonOf(bytes: Buffer, { headers }: UpstreamAnswer): JsonAnswer | undefined {
  if (isCoded(headers['content-encoding'])) return undefined;
  try {
    const text = UTF_8.decode(bytes);
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? { text, value } : undefined;
  } catch {
    return undefined; // It goes on as it came.
  }
}

function tellOf(call: ProxiedCall, json: JsonAnswer | undefined): ProviderAnswer {
  if (json === undefined) return promptAnswer(call);
  const answer = answerOrElse(
    call,
    () => call.wire.readAnswer(json.value, call.request),
    () => promptAnswer(call),
  );
  if (answer.units !== undefined) return answer;
  // Some providers say with a good status that they did not do it.
  const isError = isRecord(json.value) && 'error' in json.value && Boolean(json.value.error);
  return isError
    ? { ...answer, units: NOTHING_USED, unitsBasis: 'estimated', failed: true }
    : { ...answer, ...promptAnswer(call) };
}

function withMembers(text: string, members: Readonly<Record<string, unknown>>): string {
  return Object.entries(members).reduce(
    (told, [name, value]) => addMember(told, name, jsonText(value)),
    text,
  );
}

function sendAnswer(
  reply: FastifyReply,
  { statusCode, headers }: UpstreamAnswer,
  body: string | Buffer,
): void {
  reply.code(statusCode).headers(answerHeaders(headers)).send(body);
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true });
