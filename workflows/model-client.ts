import { z } from 'zod';
import { canonicalUnits, type Units, unitKind } from '../services/domain/units.js';
import type { UsageOutcome } from '../services/domain/usage.js';
import { unitsOfOpenAiUsage } from '../services/providers/openai-usage.js';
import { estimateTokenCount } from './estimate-token-count.js';
import { type CallUsage, metered, type UnitsBasis } from './plugin/worker.js';

export interface ModelClientOptions {
  /** Of any OpenAI-compatible API, e.g. `https://api.openai.com/v1`. */
  readonly baseUrl: string;
  /** undefined: none is sent. */
  readonly apiKey: string | undefined;
  readonly model: string;
  /** Under which name its prices are listed. */
  readonly provider: string;
}

export interface ChatRequest {
  readonly system: string;
  readonly user: string;
  readonly maxOutputTokens: number;
  /** Name of the step, for people. */
  readonly step: string;
  readonly signal: AbortSignal;
}

/** Why a provider gave no usable answer. `retryable`: the same request may succeed later. */
export class ProviderFailure extends Error {
  override readonly name = 'ProviderFailure';
  readonly type: 'ProviderRefused' | 'ProviderUnavailable' | 'ProviderAnswerInvalid';
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(type: ProviderFailure['type'], message: string, options: FailureOptions) {
    super(message, { cause: options.cause });
    this.type = type;
    this.retryable = options.retryable;
    this.retryAfterMs = options.retryAfterMs;
  }
}

interface FailureOptions {
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Chat completions of an OpenAI-compatible provider. One method call is one request: nothing is retried here, because
 * each request may be paid and has to be accounted for. Prompts and answers are neither logged nor put into errors.
 */
export class ModelClient {
  readonly #options: ModelClientOptions;

  constructor(options: ModelClientOptions) {
    this.#options = options;
  }

  /** The answer's text. Throws {@link ProviderFailure}; reports what was spent in either case. */
  async chat(request: ChatRequest): Promise<string> {
    const { provider, model } = this.#options;
    const input = promptTokenCount(request);
    const estimate = { units: { text: { input, output: outputTokensMax(model, request.maxOutputTokens) } } };
    return metered({ provider, model, step: request.step }, estimate, (report) =>
      this.#ask(request, (facts) => report(usageOf(facts))),
    );
  }

  /** Tells `report` what was spent, whichever way it ends. */
  async #ask(request: ChatRequest, report: (facts: CallFacts) => void): Promise<string> {
    let response: Response;
    let text: string;
    try {
      response = await this.#send(request);
    } catch (error) {
      report({ outcome: outcomeOf(error, request.signal), unitsBasis: 'unknown', isUnsent: isUnsent(error) });
      throw networkFailure(error);
    }
    const facts = { status: response.status, requestId: response.headers.get('x-request-id') ?? undefined };
    try {
      text = await readBounded(response);
    } catch (error) {
      // The answer was cut: the provider did its work and charges for it, and nobody knows how much it wrote.
      const outcome = outcomeOf(error, request.signal);
      report({ outcome, ...facts, ...(response.ok ? UNKNOWN : NONE) });
      throw networkFailure(error);
    }
    if (!response.ok) {
      report({ outcome: 'FAILED', ...facts, ...NONE });
      throw refusal(response);
    }
    const answer = COMPLETION.safeParse(parseJson(text));
    const units = answer.success ? unitsOfOpenAiUsage(answer.data.usage) : undefined;
    const content = answer.data?.choices[0]?.message.content ?? '';
    report({
      outcome: content === '' ? 'FAILED' : 'SUCCEEDED',
      ...facts,
      model: answer.data?.model,
      responseId: answer.data?.id,
      ...(units !== undefined
        ? { units, unitsBasis: 'reported' }
        : answer.success
          ? estimated(request, content)
          : UNKNOWN),
    });
    if (content !== '') return content;
    const what = answer.success ? 'an answer without text' : 'an answer that is no chat completion';
    throw new ProviderFailure('ProviderAnswerInvalid', `The provider sent ${what}.`, { retryable: true });
  }

  async #send({ system, user, maxOutputTokens, signal }: ChatRequest): Promise<Response> {
    const { baseUrl, apiKey, model } = this.#options;
    return fetch(`${baseUrl.replace(/\/+$/, '')}/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({
        model,
        messages: [
          { role: 'system', content: system },
          { role: 'user', content: user },
        ],
        ...outputSettings(model, maxOutputTokens),
      }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIME_MAX_MS)]),
    });
  }
}

export interface CallFacts {
  readonly outcome: UsageOutcome;
  readonly status?: number;
  readonly requestId?: string | undefined;
  readonly model?: string | undefined;
  readonly responseId?: string | undefined;
  readonly units?: Units;
  readonly unitsBasis: UnitsBasis;
  readonly isUnsent?: boolean;
}

export function usageOf(facts: CallFacts): CallUsage {
  if (facts.isUnsent) return { nothingSpent: true };
  const model = informative(facts.model);
  const requestId = informative(facts.requestId);
  const responseId = informative(facts.responseId);
  return {
    outcome: facts.outcome,
    unitsBasis: facts.unitsBasis,
    ...(facts.unitsBasis === 'unknown' ? {} : { units: Object.fromEntries(facts.units ?? NO_UNITS) }),
    ...(model === undefined ? {} : { model }),
    ...(facts.status === undefined ? {} : { httpStatusCode: facts.status }),
    ...(requestId === undefined ? {} : { providerRequestId: requestId }),
    ...(responseId === undefined ? {} : { providerResponseId: responseId }),
  };
}

/** For an answer that does not tell its usage: the prompt was read, and the answer was written. */
function estimated(request: ChatRequest, content: string): Pick<CallFacts, 'units' | 'unitsBasis'> {
  const input = BigInt(promptTokenCount(request));
  const output = BigInt(estimateTokenCount(content));
  return { units: canonicalUnits(new Map([[TEXT, { input, output }]])), unitsBasis: 'estimated' };
}

function promptTokenCount({ system, user }: ChatRequest): number {
  return promptTokens([system, user]);
}

/** As providers count the messages of a chat of these texts. Source: OpenAI cookbook, "How to count tokens". */
export function promptTokens(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + estimateTokenCount(text) + MESSAGE_TOKENS, ANSWER_START_TOKENS);
}

/** Only what is used; everything else of the answer may be anything. */
const COMPLETION = z.object({
  id: z.string().optional().catch(undefined),
  model: z.string().optional().catch(undefined),
  choices: z.array(z.object({ message: z.object({ content: z.string().nullish() }) })).min(1),
  usage: z.unknown().optional(),
});

export async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new RangeError('the answer is larger than it may be');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Answered as an answer that is no chat completion.
  }
}

/** Models that reason refuse `max_tokens` and `temperature`, and think within the bound. Source: OpenAI API reference. */
export function outputSettings(model: string, maxOutputTokens: number): Record<string, number> {
  const tokens = outputTokensMax(model, maxOutputTokens);
  return reasons(model) ? { max_completion_tokens: tokens } : { max_tokens: tokens, temperature: 0 };
}

export function outputTokensMax(model: string, maxOutputTokens: number): number {
  return reasons(model) ? maxOutputTokens + REASONING_TOKENS_MAX : maxOutputTokens;
}

function reasons(model: string): boolean {
  return /^(?:o\d|gpt-5)/.test(model);
}

/** What a provider says for information only must not keep its usage from being recorded. */
function informative(text: string | undefined): string | undefined {
  const cleaned = text?.replaceAll(/[^\x20-\x7e]/g, '').slice(0, INFORMATIVE_LENGTH_MAX);
  return cleaned === '' ? undefined : cleaned;
}

export function outcomeOf(error: unknown, signal: AbortSignal): UsageOutcome {
  if (signal.aborted) return 'CANCELLED';
  return isTimeout(error) ? 'TIMED_OUT' : 'FAILED';
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** Whether the request never reached the provider: nobody listened, or the name is unknown. */
export function isUnsent(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && UNSENT_CODES.has(String(cause.code))) return true;
  }
  return false;
}

export function networkFailure(cause: unknown): ProviderFailure {
  const what = isTimeout(cause) ? 'did not answer in time' : 'could not be reached, or cut the connection';
  return new ProviderFailure('ProviderUnavailable', `The provider ${what}.`, { retryable: true, cause });
}

/** 408, 409, 429 and 5xx pass; any other refusal says that the request, the key or the model is wrong. */
export function refusal(response: Response): ProviderFailure {
  const { status } = response;
  const passing = status === 408 || status === 409 || status === 429 || status >= 500;
  return new ProviderFailure(
    passing ? 'ProviderUnavailable' : 'ProviderRefused',
    `The provider answered HTTP ${status}${EXPLANATIONS[status] ?? ''}.`,
    { retryable: passing, retryAfterMs: passing ? retryAfterMs(response.headers) : undefined },
  );
}

/** `retry-after` in seconds or as a date (RFC 9110, section 10.2.3), or in milliseconds as OpenAI sends it too. */
function retryAfterMs(headers: Headers): number | undefined {
  const milliseconds = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(milliseconds) && milliseconds >= 0) return Math.min(milliseconds, RETRY_AFTER_MAX_MS);
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1_000;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds * 1_000), RETRY_AFTER_MAX_MS) : undefined;
}

const EXPLANATIONS: Readonly<Record<number, string>> = {
  400: ': it does not take the request as this model (EXPERIENCES_MODEL) gets it',
  401: ': the API key is missing or wrong (OPENAI_API_KEY)',
  403: ': the API key may not do this',
  404: ': it does not know the model or the address (EXPERIENCES_MODEL, OPENAI_BASE_URL)',
  429: ': too many requests',
};
export const NONE = { unitsBasis: 'none' } as const;
const UNKNOWN = { unitsBasis: 'unknown' } as const;
const NO_UNITS: Units = new Map();
const UNSENT_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
export const TEXT = unitKind('text');
/** What a message has beside its text: its frame, and the role. */
const MESSAGE_TOKENS = 4;
const ANSWER_START_TOKENS = 3;
const REASONING_TOKENS_MAX = 4_000;
const INFORMATIVE_LENGTH_MAX = 256;
export const REQUEST_TIME_MAX_MS = 90_000;
export const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
const RETRY_AFTER_MAX_MS = 60_000;
