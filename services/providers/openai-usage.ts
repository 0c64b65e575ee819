import { canonicalUnits, type UnitCount, type UnitKind, type Units } from '../domain/units.js';
import { countOf, isRecord, type JsonRecord, recordOf } from './json-value.js';
import type { ToldUsage } from './told-usage.js';
import { AUDIO, CACHE_READ, CACHE_WRITE, TEXT, VISION } from './unit-kinds.js';

/**
 * What an OpenAI-compatible answer (chat completion, response, embedding) says about usage, as disjoint units. OpenAI's
 * counts are inclusive: tokens read from or written to the cache and audio tokens are parts of the prompt's, so they are
 * taken out of `text`; reasoning tokens stay in it. Source: OpenAI API reference, "The chat completion object" and "The
 * response object", member `usage`.
 *
 * `promptText`: how many tokens the texts of a prompt with images have; what is more than that is `vision`. undefined: the
 * prompt has no images.
 *
 * undefined: the body says nothing usable about usage.
 */
export function toldByOpenAi(usage: unknown, promptText?: bigint): ToldUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const prompt = countOf(usage.prompt_tokens) ?? countOf(usage.input_tokens);
  if (prompt === undefined) return undefined;
  const output = countOf(usage.completion_tokens) ?? countOf(usage.output_tokens);
  return { units: unitsOf(usage, prompt, output ?? 0n, promptText), output };
}

function unitsOf(usage: JsonRecord, prompt: bigint, completion: bigint, promptText?: bigint): Units {
  const promptParts = recordOf(usage.prompt_tokens_details ?? usage.input_tokens_details);
  const completionParts = recordOf(usage.completion_tokens_details ?? usage.output_tokens_details);
  const cacheRead = countOf(promptParts.cached_tokens) ?? 0n;
  const cacheWrite = countOf(promptParts.cache_write_tokens) ?? 0n;
  const audioIn = countOf(promptParts.audio_tokens) ?? 0n;
  const audioOut = countOf(completionParts.audio_tokens) ?? 0n;
  const rest = prompt - cacheRead - cacheWrite - audioIn;
  // Parts that are more than the whole cannot be disjoint: then only the whole is believed.
  const partsFit = rest >= 0n && audioOut <= completion;
  if (!partsFit) return canonicalUnits(new Map([[TEXT, { input: prompt, output: completion }]]));
  const vision = promptText === undefined ? 0n : visionOf(prompt - audioIn, promptText, rest);
  return canonicalUnits(
    new Map<UnitKind, UnitCount>([
      [TEXT, { input: rest - vision, output: completion - audioOut }],
      [CACHE_READ, { input: cacheRead, output: 0n }],
      [CACHE_WRITE, { input: cacheWrite, output: 0n }],
      [AUDIO, { input: audioIn, output: audioOut }],
      [VISION, { input: vision, output: 0n }],
    ]),
  );
}

/** What is told of both ways, for callers of ours who do not count themselves. */
export function unitsOfOpenAiUsage(usage: unknown): Units | undefined {
  return toldByOpenAi(usage)?.units;
}

/**
 * How much of a prompt is images: what its texts do not explain, but no more than is left beside the cache, because
 * nobody tells whether text or images were cached.
 */
export function visionOf(reported: bigint, promptText: bigint, uncached: bigint): bigint {
  const vision = reported > promptText ? reported - promptText : 0n;
  return vision < uncached ? vision : uncached;
}
