import { canonicalUnits, type UnitCount, type UnitKind } from '../domain/units.js';
import { countOf, isRecord, type JsonRecord, recordOf } from './json-value.js';
import { visionOf } from './openai-usage.js';
import type { ToldUsage } from './told-usage.js';
import { CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, TEXT, VISION, WEB_SEARCH } from './unit-kinds.js';

/**
 * What a message of Anthropic's says about usage, as disjoint units, which its counts are already: `input_tokens` is what
 * was neither read from nor written to the cache. Thinking stays in `text`. Web fetches are not charged for. Source:
 * Anthropic API reference, "Messages", member `usage`.
 *
 * `promptText`: as for {@link toldByOpenAi}. undefined: nothing usable is said about usage.
 */
export function toldByAnthropic(usage: unknown, promptText?: bigint): ToldUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const input = countOf(usage.input_tokens);
  if (input === undefined) return undefined;
  const cacheRead = countOf(usage.cache_read_input_tokens) ?? 0n;
  const { short, long } = cacheWrites(usage);
  const reported = input + cacheRead + short + long;
  const vision = promptText === undefined ? 0n : visionOf(reported, promptText, input);
  const searches = countOf(recordOf(usage.server_tool_use).web_search_requests) ?? 0n;
  const output = countOf(usage.output_tokens);
  const units = canonicalUnits(
    new Map<UnitKind, UnitCount>([
      [TEXT, { input: input - vision, output: output ?? 0n }],
      [CACHE_READ, { input: cacheRead, output: 0n }],
      [CACHE_WRITE, { input: short, output: 0n }],
      [CACHE_WRITE_1H, { input: long, output: 0n }],
      [VISION, { input: vision, output: 0n }],
      [WEB_SEARCH, { input: 0n, output: searches }],
    ]),
  );
  return { units, output };
}

/**
 * The counts of a stream are cumulative, and a `message_delta` repeats only some of those of `message_start`: what a later
 * one does not say stays as it was, and so does a count that would fall (some compatible servers send zeros).
 */
export function laterUsage(earlier: JsonRecord, later: unknown): JsonRecord {
  const said = Object.entries(recordOf(later)).filter(([name, value]) => {
    if (value === null || value === undefined) return false;
    const [before, now] = [countOf(earlier[name]), countOf(value)];
    return before === undefined || now === undefined || now >= before;
  });
  return { ...earlier, ...Object.fromEntries(said) };
}

/** Entries of five minutes and of one hour cost differently; without a breakdown all are of five minutes. */
function cacheWrites(usage: JsonRecord): { readonly short: bigint; readonly long: bigint } {
  const byTime = recordOf(usage.cache_creation);
  const short = countOf(byTime.ephemeral_5m_input_tokens) ?? 0n;
  const long = countOf(byTime.ephemeral_1h_input_tokens) ?? 0n;
  const all = countOf(usage.cache_creation_input_tokens) ?? short + long;
  // Where the parts do not add up, the whole is believed.
  return long <= all ? { short: all - long, long } : { short: all, long: 0n };
}
