import { z } from 'zod';
import type { Answer } from './answer.js';
import { embedText } from './embed-text.js';
import type { Endpoint } from './model-call.js';
import { type Model, resolveModel } from './models.js';
import { parseBody } from './parse-body.js';
import { contextTooLong, modelNotFound, Refusal } from './refusal.js';
import { loadTokenEncoding } from './token-encoding.js';

/** `POST /v1/embeddings`. */
export const EMBEDDINGS: Endpoint = {
  name: 'embeddings',
  dialect: 'openai',
  parse(body) {
    const request = parseBody(REQUEST, body);
    const model = resolveModel(request.model);
    if (model === undefined) throw modelNotFound();
    const dimensions = vectorDimensions(model, request.dimensions ?? undefined);
    return {
      requestedModel: request.model,
      model,
      stream: false,
      work: ({ usageOmitted }) => embed(request, model, dimensions, usageOmitted),
    };
  },
};

const MODEL_NAME_LENGTH_MAX = 200;
/** The provider's own limits. */
const INPUTS_MAX = 2048;
const TOKENS_MAX = 300_000;

const TEXT = z.string().min(1);
const TOKENS = z.array(z.number().int().min(0)).min(1).max(TOKENS_MAX);

const REQUEST = z.object({
  model: z.string().min(1).max(MODEL_NAME_LENGTH_MAX),
  input: z.union([
    TEXT,
    z.array(TEXT).min(1).max(INPUTS_MAX),
    TOKENS,
    z.array(TOKENS).min(1).max(INPUTS_MAX),
  ]),
  dimensions: z.number().int().min(1).nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
});
type EmbeddingsRequest = z.output<typeof REQUEST>;

function vectorDimensions({ dimensions }: Model, asked: number | undefined): number {
  if (dimensions === undefined) {
    throw new Refusal(403, 'You are not allowed to generate embeddings from this model.', { param: 'model' });
  }
  if (asked === undefined) return dimensions.default;
  if (!dimensions.choosable) {
    throw new Refusal(400, 'This model does not support specifying dimensions.', { param: 'dimensions' });
  }
  if (asked > dimensions.default) {
    throw new Refusal(400, `This model has at most ${dimensions.default} dimensions.`, {
      param: 'dimensions',
      code: 'invalid_value',
    });
  }
  return asked;
}

/** A text, or the tokens of one. */
type Input = string | readonly number[];

async function embed(
  request: EmbeddingsRequest,
  model: Model,
  dimensions: number,
  usageOmitted: boolean,
): Promise<Answer> {
  const encoding = await loadTokenEncoding(model.encoding);
  const inputs = readInputs(request.input);
  let promptTokens = 0;
  for (const input of inputs) {
    const tokens = typeof input === 'string' ? encoding.encode(input, model.contextTokensMax) : input;
    if (tokens.length > model.contextTokensMax) throw contextTooLong(model.contextTokensMax, 'input');
    promptTokens += tokens.length;
    if (promptTokens > TOKENS_MAX) {
      throw new Refusal(400, `The inputs have more than ${TOKENS_MAX} tokens together.`, { param: 'input' });
    }
  }
  const data = inputs.map((input, index) => {
    const vector = embedText(typeof input === 'string' ? input : wordsForTokens(input), dimensions);
    return {
      object: 'embedding',
      index,
      embedding: request.encoding_format === 'base64' ? toBase64(vector) : [...vector],
    };
  });
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  return {
    responseId: undefined,
    promptTokens,
    cachedTokens: 0,
    completionTokens: 0,
    content: {
      kind: 'json',
      body: { object: 'list', data, model: model.name, ...(usageOmitted ? {} : { usage }) },
    },
  };
}

function readInputs(input: EmbeddingsRequest['input']): readonly Input[] {
  if (typeof input === 'string') return [input];
  return isTokens(input) ? [input] : input;
}

function isTokens(input: Exclude<EmbeddingsRequest['input'], string>): input is number[] {
  return typeof input[0] === 'number';
}

/**
 * Tokens are embedded as if each were a word. So inputs of tokens can be compared with each other, not with texts; they
 * are not decoded because a list that is no text would stay in the library's shared decoder.
 */
function wordsForTokens(tokens: readonly number[]): string {
  return tokens.map((token) => `token${token}`).join(' ');
}

/** 32-bit little-endian floats, as the provider packs them. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT);
  vector.forEach((value, index) => {
    bytes.writeFloatLE(value, index * Float32Array.BYTES_PER_ELEMENT);
  });
  return bytes.toString('base64');
}
