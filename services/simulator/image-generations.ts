import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Answer } from './answer.js';
import type { CompletionWorld } from './completion-world.js';
import type { Endpoint } from './model-call.js';
import { type Model, resolveModel } from './models.js';
import { parseBody } from './parse-body.js';
import { contextTooLong, modelNotFound, Refusal } from './refusal.js';
import { loadTokenEncoding } from './token-encoding.js';

/** `POST /v1/images/generations`: https://platform.openai.com/docs/api-reference/images/create */
export function createImageGenerations({ now }: Pick<CompletionWorld, 'now'>): Endpoint {
  return {
    name: 'images.generations',
    dialect: 'openai',
    parse(body) {
      const request = parseBody(REQUEST, body);
      const model = resolveModel(request.model);
      if (model === undefined) throw modelNotFound();
      if (model.kind !== 'image') {
        throw new Refusal(400, 'This model does not make images.', { param: 'model', code: 'invalid_value' });
      }
      return {
        requestedModel: request.model,
        model,
        stream: false,
        work: ({ usageOmitted }) => paint(request, model, now, usageOmitted),
      };
    },
  };
}

const MODEL_NAME_LENGTH_MAX = 200;
const IMAGES_MAX = 10;
const MODEL_OTHERWISE = 'dall-e-2';

const REQUEST = z.object({
  model: z
    .string()
    .min(1)
    .max(MODEL_NAME_LENGTH_MAX)
    .nullish()
    .transform((model) => model ?? MODEL_OTHERWISE),
  prompt: z.string().min(1),
  n: z.number().int().min(1).max(IMAGES_MAX).nullish(),
  size: z.string().nullish(),
  quality: z.string().nullish(),
  response_format: z.enum(['url', 'b64_json']).nullish(),
  stream: z.literal(false, 'the simulator sends whole images').nullish(),
});

/** The tokens of an image by its quality and size, as the provider publishes them for gpt-image-1. */
const IMAGE_TOKENS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  low: { '1024x1024': 272, '1024x1536': 408, '1536x1024': 400 },
  medium: { '1024x1024': 1056, '1024x1536': 1584, '1536x1024': 1568 },
  high: { '1024x1024': 4160, '1024x1536': 6240, '1536x1024': 6208 },
};

async function paint(
  request: z.output<typeof REQUEST>,
  model: Model,
  now: () => number,
  usageOmitted: boolean,
): Promise<Answer> {
  const encoding = await loadTokenEncoding(model.encoding);
  const promptTokens = encoding.encode(request.prompt, model.contextTokensMax).length;
  if (promptTokens > model.contextTokensMax) throw contextTooLong(model.contextTokensMax, 'prompt');
  const count = request.n ?? 1;
  // The older models are paid by the image and tell no tokens.
  const told = model.name.startsWith('dall-e') ? undefined : tokensAnImage(request);
  const completionTokens = count * (told?.tokens ?? 0);
  const usage = {
    input_tokens: promptTokens,
    input_tokens_details: { text_tokens: promptTokens, image_tokens: 0 },
    output_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
  const isUrl = told === undefined && request.response_format !== 'b64_json';
  const data = Array.from({ length: count }, (_, index) =>
    isUrl ? { url: imageUrl(request.prompt, index) } : { b64_json: PIXEL },
  );
  return {
    responseId: undefined,
    promptTokens: told === undefined ? 0 : promptTokens,
    cachedTokens: 0,
    completionTokens,
    content: {
      kind: 'json',
      body: {
        created: Math.floor(now() / 1000),
        ...(told === undefined
          ? {}
          : { background: 'opaque', output_format: 'png', quality: told.quality, size: told.size }),
        data,
        ...(told === undefined || usageOmitted ? {} : { usage }),
      },
    },
  };
}

/** `auto`, which is the default too, is answered at high quality and square. */
function tokensAnImage({ quality, size }: z.output<typeof REQUEST>): {
  readonly quality: string;
  readonly size: string;
  readonly tokens: number;
} {
  const chosen = {
    quality: quality == null || quality === 'auto' ? 'high' : quality,
    size: size == null || size === 'auto' ? '1024x1024' : size,
  };
  const sizes = Object.hasOwn(IMAGE_TOKENS, chosen.quality) ? IMAGE_TOKENS[chosen.quality] : undefined;
  if (sizes === undefined)
    throw new Refusal(400, "Invalid 'quality'.", { param: 'quality', code: 'invalid_value' });
  const tokens = Object.hasOwn(sizes, chosen.size) ? sizes[chosen.size] : undefined;
  if (tokens === undefined)
    throw new Refusal(400, "Invalid 'size'.", { param: 'size', code: 'invalid_value' });
  return { ...chosen, tokens };
}

/** Nothing is behind it. */
function imageUrl(prompt: string, index: number): string {
  const digest = createHash('sha256').update(prompt).digest('hex').slice(0, IMAGE_NAME_DIGITS);
  return `https://images.example.com/${digest}-${index}.png`;
}

const IMAGE_NAME_DIGITS = 16;
/** A PNG of one pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
