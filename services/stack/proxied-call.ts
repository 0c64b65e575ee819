import { isLosslessNumber, type LosslessNumber, parse } from 'lossless-json';
import OpenAI from 'openai';
import { z } from 'zod';
import { createHeaders, openaiUrl } from '../client/index.js';

export interface ProxiedCallOptions {
  readonly gatewayUrl: string;
  /** The caller's key for Experiences; absent: none is asked for. */
  readonly apiKey: string | undefined;
  readonly experienceName: string;
  /** A provider's key, its model and the name that its prices are listed under, where the environment says so. */
  readonly environment: NodeJS.ProcessEnv;
  readonly question: string;
}

/** What a person sees of the call. */
export interface ProxiedCall {
  readonly baseUrl: string;
  readonly model: string;
  readonly answer: string;
  /** Both as `xproxy_result` tells them; the cost with each of its digits, absent when nothing has a price. */
  readonly experienceId: string;
  readonly cost: string | undefined;
}

/**
 * One call by the stock OpenAI client with nothing but a base URL and headers of ours. The answer is taken as text because
 * the client reads numbers in floating point, which an exact amount does not survive in general.
 */
export async function callThroughProxy(options: ProxiedCallOptions): Promise<ProxiedCall> {
  const { OPENAI_API_KEY, EXPERIENCES_MODEL, EXPERIENCES_PROVIDER } = options.environment;
  const openai = new OpenAI({
    baseURL: openaiUrl(options.gatewayUrl),
    apiKey: OPENAI_API_KEY || 'none',
    timeout: CALL_TIME_MAX_MS,
    defaultHeaders: createHeaders({
      apiKey: options.apiKey,
      experienceName: options.experienceName,
      priceAsCategory: EXPERIENCES_PROVIDER,
    }),
  });
  const model = EXPERIENCES_MODEL || MODEL_DEFAULT;
  const response = await openai.chat.completions
    .create({ model, messages: [{ role: 'user', content: options.question }] })
    .asResponse();
  const { choices, xproxy_result: result } = COMPLETION.parse(parse(await response.text()));
  return {
    baseUrl: openai.baseURL,
    model,
    answer: choices[0]?.message.content ?? '',
    experienceId: result.experience_id,
    cost: result.cost?.total.base.value,
  };
}

const CALL_TIME_MAX_MS = 60_000;
/** As the worker has. */
const MODEL_DEFAULT = 'gpt-4o-mini';
const COMPLETION = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })),
  xproxy_result: z.object({
    experience_id: z.string(),
    cost: z
      .object({ total: z.object({ base: z.custom<LosslessNumber>((value) => isLosslessNumber(value)) }) })
      .optional(),
  }),
});
