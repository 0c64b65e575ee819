import type { UnitsInput } from '../../services/client/index.js';
import type { ExtractedUsage, Extractors, UsageExtractor } from './extractor.js';
import { countOf, fieldOf } from './field-of.js';
import { isRefusal } from './is-refusal.js';
import type { CallEstimate } from './metered-call.js';

export interface ReadyExtractorOptions {
  /** Under which the models' prices are listed. Absent: what stands before `/` in the model's name, else `openai`. */
  readonly provider?: string;
  /** Estimated for a request that sets no bound of its own. Absent: 4,096. */
  readonly outputTokensMax?: number;
}

/**
 * For the activities of `@temporalio/ai-sdk`, whose results are those of the AI SDK's language and embedding models
 * (provider specifications 2 and 3). Its retries inside of a request are to be off, as always.
 */
export function aiSdkExtractors(options: ReadyExtractorOptions = {}): Extractors {
  const language: UsageExtractor = {
    call: ([input]) => callOf(fieldOf(input, 'modelId'), options),
    estimate: ([input]) => {
      const call = fieldOf(input, 'options');
      return estimateOf(fieldOf(call, 'prompt'), fieldOf(call, 'maxOutputTokens'), options);
    },
    nothingSpent: isRefusal,
    usage: (result, [input]) => [
      {
        ...callOf(fieldOf(input, 'modelId'), options),
        ...answeredBy(fieldOf(fieldOf(result, 'response'), 'modelId')),
        ...responseId(fieldOf(fieldOf(result, 'response'), 'id')),
        ...unitsOf(aiSdkUnits(fieldOf(result, 'usage'))),
      },
    ],
  };
  const embedding: UsageExtractor = {
    call: ([input]) => callOf(fieldOf(input, 'modelId'), options),
    estimate: ([input]) => estimateOf(fieldOf(input, 'values'), 0, options),
    nothingSpent: isRefusal,
    usage: (result, [input]) => {
      const tokens = countOf(fieldOf(fieldOf(result, 'usage'), 'tokens'));
      const units = tokens === undefined ? undefined : { text: { input: tokens, output: 0 } };
      return [{ ...callOf(fieldOf(input, 'modelId'), options), ...unitsOf(units) }];
    },
  };
  return { invokeModel: language, invokeModelStreaming: language, invokeEmbeddingModel: embedding };
}

/** For the activities of `@temporalio/openai-agents`. */
export function openAiAgentsExtractors(options: ReadyExtractorOptions = {}): Extractors {
  const extractor = (responseOf: (result: unknown) => unknown): UsageExtractor => ({
    call: ([input]) => callOf(fieldOf(input, 'modelName'), options),
    estimate: ([input]) => {
      const request = fieldOf(input, 'request');
      const asked = [
        fieldOf(request, 'systemInstructions'),
        fieldOf(request, 'input'),
        fieldOf(request, 'tools'),
      ];
      return estimateOf(asked, fieldOf(fieldOf(request, 'modelSettings'), 'maxTokens'), options);
    },
    nothingSpent: isRefusal,
    usage: (result, [input]): readonly ExtractedUsage[] => {
      const response = responseOf(result);
      return [
        {
          ...callOf(fieldOf(input, 'modelName'), options),
          ...responseId(fieldOf(response, 'responseId') ?? fieldOf(response, 'id')),
          ...unitsOf(openAiAgentsUnits(fieldOf(response, 'usage'))),
        },
      ];
    },
  });
  return {
    invokeModelActivity: extractor((result) => result),
    // A list of events, of which the last that ends a response tells the usage.
    invokeModelStreamActivity: extractor((result) => {
      const events = Array.isArray(result) ? result : [];
      return fieldOf(
        events.findLast((event) => fieldOf(event, 'type') === 'response_done'),
        'response',
      );
    }),
  };
}

function aiSdkUnits(usage: unknown): UnitsInput | undefined {
  const input = fieldOf(usage, 'inputTokens');
  const output = fieldOf(usage, 'outputTokens');
  if (typeof input !== 'object' && typeof output !== 'object') {
    // Specification 2: plain counts, those read from the cache among the input's.
    const cached = countOf(fieldOf(usage, 'cachedInputTokens')) ?? 0;
    return tokenUnits(countOf(input), { read: cached, written: 0 }, countOf(output));
  }
  const cache = {
    read: countOf(fieldOf(input, 'cacheRead')) ?? 0,
    written: countOf(fieldOf(input, 'cacheWrite')) ?? 0,
  };
  return tokenUnits(countOf(fieldOf(input, 'total')), cache, countOf(fieldOf(output, 'total')));
}

function openAiAgentsUnits(usage: unknown): UnitsInput | undefined {
  const details = fieldOf(usage, 'inputTokensDetails');
  // One entry a request; agents add the usage of several up.
  const entries = Array.isArray(details) ? details : [details];
  const read = entries.reduce(
    (sum: number, entry) => sum + (countOf(fieldOf(entry, 'cached_tokens')) ?? 0),
    0,
  );
  const input = countOf(fieldOf(usage, 'inputTokens'));
  return tokenUnits(input, { read, written: 0 }, countOf(fieldOf(usage, 'outputTokens')));
}

/** Disjoint kinds: `input` counts cached tokens too. undefined: the answer told no usage. */
function tokenUnits(
  input: number | undefined,
  cache: { readonly read: number; readonly written: number },
  output: number | undefined,
): UnitsInput | undefined {
  if (input === undefined && output === undefined) return undefined;
  const { read, written } = cache;
  return {
    text: { input: Math.max(0, (input ?? 0) - read - written), output: output ?? 0 },
    ...(read === 0 ? {} : { text_cache_read: { input: read, output: 0 } }),
    ...(written === 0 ? {} : { text_cache_write: { input: written, output: 0 } }),
  };
}

function callOf(model: unknown, { provider }: ReadyExtractorOptions) {
  const name = typeof model === 'string' && model !== '' ? model : 'unknown';
  const slash = name.indexOf('/');
  if (provider !== undefined || slash <= 0) return { provider: provider ?? 'openai', model: name };
  return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
}

/** What is asked, by its length; a token of any language has rarely less than three characters of JSON. */
function estimateOf(asked: unknown, outputMax: unknown, options: ReadyExtractorOptions): CallEstimate {
  const text = JSON.stringify(asked) ?? '';
  const output = countOf(outputMax) ?? options.outputTokensMax ?? OUTPUT_TOKENS_MAX;
  return { units: { text: { input: Math.ceil(text.length / CHARACTERS_PER_TOKEN), output } } };
}

function unitsOf(units: UnitsInput | undefined): Pick<ExtractedUsage, 'units'> {
  return units === undefined ? {} : { units };
}

function answeredBy(model: unknown): Partial<Pick<ExtractedUsage, 'model'>> {
  return typeof model === 'string' && model !== '' ? { model } : {};
}

function responseId(id: unknown): Pick<ExtractedUsage, 'providerResponseId'> {
  return typeof id === 'string' && id !== '' ? { providerResponseId: id } : {};
}

const CHARACTERS_PER_TOKEN = 3;
const OUTPUT_TOKENS_MAX = 4_096;
