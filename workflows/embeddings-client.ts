import { z } from 'zod';
import { canonicalUnits } from '../services/domain/units.js';
import { unitsOfOpenAiUsage } from '../services/providers/openai-usage.js';
import { estimateTokenCount } from './estimate-token-count.js';
import {
  type CallFacts,
  isUnsent,
  type ModelClientOptions,
  NONE,
  networkFailure,
  outcomeOf,
  ProviderFailure,
  parseJson,
  REQUEST_TIME_MAX_MS,
  readBounded,
  refusal,
  TEXT,
  usageOf,
} from './model-client.js';
import { metered } from './plugin/metered.js';

export interface EmbeddingsRequest {
  /** At most {@link EMBEDDED_TEXTS_MAX}, none empty. */
  readonly texts: readonly string[];
  /** Name of the step, for people. */
  readonly step: string;
  readonly signal: AbortSignal;
}

/**
 * Embeds texts in one request: a vector of length 1 for each, in their order, of {@link EMBEDDING_DIMENSIONS} numbers.
 * Throws {@link ProviderFailure}; reports what was spent in either case.
 */
export async function embedTexts(
  options: ModelClientOptions,
  request: EmbeddingsRequest,
): Promise<readonly Float32Array[]> {
  if (request.texts.length > EMBEDDED_TEXTS_MAX)
    throw new RangeError(`one request embeds at most ${EMBEDDED_TEXTS_MAX} texts`);
  const { provider, model } = options;
  const estimate = { units: { text: { input: inputTokenCount(request), output: 0 } } };
  return metered({ provider, model, step: request.step }, estimate, (report) =>
    ask(options, request, (facts) => report(usageOf(facts))),
  );
}

/** Tells `report` what was spent, whichever way it ends. */
async function ask(
  options: ModelClientOptions,
  request: EmbeddingsRequest,
  report: (facts: CallFacts) => void,
): Promise<readonly Float32Array[]> {
  let response: Response;
  let body: string;
  try {
    response = await send(options, request);
  } catch (error) {
    report({ outcome: outcomeOf(error, request.signal), unitsBasis: 'unknown', isUnsent: isUnsent(error) });
    throw networkFailure(error);
  }
  const facts = { status: response.status, requestId: response.headers.get('x-request-id') ?? undefined };
  try {
    body = await readBounded(response);
  } catch (error) {
    const outcome = outcomeOf(error, request.signal);
    report({ outcome, ...facts, ...(response.ok ? estimated(request) : NONE) });
    throw networkFailure(error);
  }
  if (!response.ok) {
    report({ outcome: 'FAILED', ...facts, ...NONE });
    throw refusal(response);
  }
  const answer = ANSWER.safeParse(parseJson(body));
  const vectors = answer.success ? vectorsOf(answer.data.data, request.texts.length) : undefined;
  const units = unitsOfOpenAiUsage(answer.data?.usage);
  report({
    outcome: vectors === undefined ? 'FAILED' : 'SUCCEEDED',
    ...facts,
    model: answer.data?.model,
    ...(units === undefined ? estimated(request) : { units, unitsBasis: 'reported' }),
  });
  if (vectors !== undefined) return vectors;
  throw new ProviderFailure('ProviderAnswerInvalid', 'The provider sent an answer that is no embedding.', {
    retryable: true,
  });
}

async function send(
  { baseUrl, apiKey, model }: ModelClientOptions,
  { texts, signal }: EmbeddingsRequest,
): Promise<Response> {
  return fetch(`${baseUrl.replace(/\/+$/, '')}/embeddings`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify({
      model,
      input: texts,
      encoding_format: 'base64',
      // Models before the third generation take no length.
      ...(model.startsWith('text-embedding-3') ? { dimensions: EMBEDDING_DIMENSIONS } : {}),
    }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIME_MAX_MS)]),
  });
}

/** undefined: one is missing, or is no vector. */
function vectorsOf(
  data: readonly { readonly index: number; readonly embedding: string | readonly number[] }[],
  count: number,
): readonly Float32Array[] | undefined {
  const vectors = new Array<Float32Array | undefined>(count).fill(undefined);
  for (const { index, embedding } of data) {
    if (index < count)
      vectors[index] = typeof embedding === 'string' ? fromBase64(embedding) : toFloats(embedding);
  }
  const whole = vectors.filter((vector) => vector !== undefined && vector.length > 0) as Float32Array[];
  return whole.length === count ? whole.map(normalised) : undefined;
}

function toFloats(numbers: readonly number[]): Float32Array {
  return Float32Array.from(numbers);
}

/** 32-bit little-endian floats. */
function fromBase64(text: string): Float32Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % Float32Array.BYTES_PER_ELEMENT !== 0) return undefined;
  return Float32Array.from({ length: bytes.length / Float32Array.BYTES_PER_ELEMENT }, (_, index) =>
    bytes.readFloatLE(index * Float32Array.BYTES_PER_ELEMENT),
  );
}

/** Longer vectors are cut, as the provider itself shortens them; so all have one length, and a product is a cosine. */
function normalised(vector: Float32Array): Float32Array {
  const cut = vector.subarray(0, EMBEDDING_DIMENSIONS);
  const length = Math.hypot(...cut);
  return length === 0 ? cut : cut.map((value) => value / length);
}

/** For an answer whose usage is not known. */
function estimated(request: EmbeddingsRequest): Pick<CallFacts, 'units' | 'unitsBasis'> {
  const input = BigInt(inputTokenCount(request));
  return { units: canonicalUnits(new Map([[TEXT, { input, output: 0n }]])), unitsBasis: 'estimated' };
}

function inputTokenCount({ texts }: EmbeddingsRequest): number {
  return texts.reduce((sum, text) => sum + estimateTokenCount(text), 0);
}

const ANSWER = z.object({
  model: z.string().optional().catch(undefined),
  data: z.array(
    z.object({
      index: z.number().int().min(0),
      embedding: z.union([z.string(), z.array(z.number())]),
    }),
  ),
  usage: z.unknown().optional(),
});

/** Short enough that a passage's vector takes 1 KiB. */
const EMBEDDING_DIMENSIONS = 256;
/** The provider's own limit. */
export const EMBEDDED_TEXTS_MAX = 2_048;
