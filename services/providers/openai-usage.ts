import { canonicalUnits, type UnitCount, type UnitKind, type Units, unitKind } from '../domain/units.js';

/**
 * What an OpenAI-compatible chat completion or embedding says about usage, as disjoint units. OpenAI's counts are
 * inclusive: cached and audio tokens are parts of `prompt_tokens`, so they are taken out of `text`. Source:
 * OpenAI API reference, "The chat completion object", member `usage`.
 *
 * undefined: the body says nothing usable about usage.
 */
export function unitsOfOpenAiUsage(usage: unknown): Units | undefined {
  if (!isRecord(usage)) return undefined;
  const prompt = count(usage.prompt_tokens);
  if (prompt === undefined) return undefined;
  const completion = count(usage.completion_tokens) ?? 0n;
  const promptParts = isRecord(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {};
  const completionParts = isRecord(usage.completion_tokens_details) ? usage.completion_tokens_details : {};
  const cached = count(promptParts.cached_tokens) ?? 0n;
  const audioIn = count(promptParts.audio_tokens) ?? 0n;
  const audioOut = count(completionParts.audio_tokens) ?? 0n;
  // Parts that are more than the whole cannot be disjoint: then only the whole is believed.
  const partsFit = cached + audioIn <= prompt && audioOut <= completion;
  const units = new Map<UnitKind, UnitCount>(
    partsFit
      ? [
          [TEXT, { input: prompt - cached - audioIn, output: completion - audioOut }],
          [CACHE_READ, { input: cached, output: 0n }],
          [AUDIO, { input: audioIn, output: audioOut }],
        ]
      : [[TEXT, { input: prompt, output: completion }]],
  );
  return canonicalUnits(units);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function count(value: unknown): bigint | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
}

const TEXT = unitKind('text');
const CACHE_READ = unitKind('text_cache_read');
const AUDIO = unitKind('audio');
