/**
 * The package's own arithmetic as an independent witness: for every model of the catalogue and every date its price
 * changes, our cost and its result agree. Known to differ, and kept out below or in the expectations:
 * - models without any price: the package says 0, we say that it is not known;
 * - kinds that inherit nothing here (audio, one-hour cache writes, images out): the package takes the price of text;
 * - windows of the day: the package applies them to every date; we compare at an hour outside all of them;
 * - Groq's whisper is billed as 10 s at least: we compare above that;
 * - tool calls and requests: in the package only in the total, here in a direction.
 */
import { calcPrice, type Usage } from '@pydantic/genai-prices';
import { beforeAll, describe, expect, it } from 'vitest';
import { formatMoney } from '../services/domain/money.js';
import { type UnitCount, type UnitKind, unitKind } from '../services/domain/units.js';
import { loadCatalogue } from '../services/pricing/catalogue.js';
import { CatalogueIndex } from '../services/pricing/catalogue-index.js';
import { costOfUnits } from '../services/pricing/cost-of-units.js';
import { FALLBACK_PROVIDERS } from '../services/pricing/fallback-providers.js';
import type { ModelMatcher } from '../services/pricing/model-matcher.js';
import type { Price } from '../services/pricing/price.js';
import { PriceBook } from '../services/pricing/price-book.js';
import { bundledData } from '../services/pricing/seed/bundled-data.js';
import { type ListedProvider, parseProviders } from '../services/pricing/seed/listed-provider.js';

/** Outside all windows of the day in the data. */
const QUIET_HOUR = 'T20:00:00Z';
const TIMES = [
  '2023-01-01',
  '2025-06-09',
  '2025-06-11',
  '2026-06-30',
  '2026-08-25',
  '2026-11-20',
  '2027-02-01',
].map((date) => new Date(date + QUIET_HOUR));
const catalogue = loadCatalogue();
const book = new PriceBook([], new CatalogueIndex(catalogue));
let providers: readonly ListedProvider[] = [];

beforeAll(async () => {
  providers = parseProviders((await bundledData()).providers);
});

describe('the package agrees', () => {
  it.each([
    ['below all tiers', 1],
    ['above all tiers', 1000],
  ])('on what everything a price covers costs, %s', (_, times) => {
    let compared = 0;
    const differences: string[] = [];
    for (const { provider, model, name } of spellings()) {
      for (const time of TIMES) {
        const found = book.find(provider, name, time);
        if (!('price' in found)) continue;
        const { units, usage } = usageOf(found.price, times);
        const cost = costOfUnits(units, found);
        const witness = calcPrice(usage, name, { providerId: provider, timestamp: time });
        expect(cost.unpriced).toEqual([]);
        compared += 1;
        const ours = Number(formatMoney(cost.total));
        const theirs = witness?.total_price ?? Number.NaN;
        if (!(Math.abs(ours - theirs) <= 1e-9 * Math.abs(theirs))) {
          differences.push(
            `${provider} ${model} as ${name} at ${time.toISOString()}: ${ours}, package ${theirs}`,
          );
        }
      }
    }
    expect(differences).toEqual([]);
    expect(compared).toBeGreaterThan(15_000);
  });

  it('on which model a name means, for names of all providers', () => {
    const names = [...new Set(spellings().map(({ name }) => name))];
    const differences: string[] = [];
    for (const [turn, { id }] of providers.entries()) {
      const own = spellings().filter(({ provider }) => provider === id);
      // Of the others' names a part, another for each provider.
      const others = names.filter((_, place) => place % 23 === turn % 23);
      for (const name of [...own.map((spelling) => spelling.name), ...others]) {
        for (const spelled of [name, name.toUpperCase(), ` ${name}`, `${name}-20240718`]) {
          const found = book.find(id, spelled, QUIET_DAY);
          const witness = calcPrice({}, spelled, { providerId: id, timestamp: QUIET_DAY });
          const ours = 'price' in found ? found.price.model : undefined;
          const theirs =
            witness === null || isWithoutPrice(id, witness.model.id) ? undefined : witness.model.id;
          if (ours !== theirs) differences.push(`${id} ${spelled}: ${ours}, package ${theirs}`);
        }
      }
    }
    expect(differences).toEqual([]);
  });

  it('that a model without a price costs nothing, which we do not believe', () => {
    const witness = calcPrice({ input_tokens: 1000 }, 'gemma-3-27b-it', {
      providerId: 'google',
      timestamp: QUIET_DAY,
    });
    expect(witness?.total_price).toBe(0);
    expect(book.find('google', 'gemma-3-27b-it', QUIET_DAY)).toEqual({ reason: 'MODEL_UNKNOWN' });
  });
});

const QUIET_DAY = new Date(`2026-11-20${QUIET_HOUR}`);

/** The names by which the data's own rules can be met, each with the provider and model it was taken from. */
function spellings(): readonly {
  readonly provider: string;
  readonly model: string;
  readonly name: string;
}[] {
  return providers.flatMap(({ id, models }) =>
    models.flatMap((model) =>
      [...new Set([model.id.toLowerCase(), ...model.matchers.flatMap(textsOf)])].map((name) => ({
        provider: id,
        model: model.id,
        name,
      })),
    ),
  );
}

function textsOf(matcher: ModelMatcher): readonly string[] {
  if ('or' in matcher || 'and' in matcher)
    return ('or' in matcher ? matcher.or : matcher.and).flatMap(textsOf);
  return 'regex' in matcher ? [] : Object.values(matcher);
}

/** Whether the data has the model, of the provider or of one it falls back to, without any price. */
function isWithoutPrice(provider: string, model: string): boolean {
  const ids = [provider, ...(FALLBACK_PROVIDERS.get(provider) ?? [])];
  const listed = providers.filter(({ id }) => ids.includes(id)).flatMap(({ models }) => models);
  const priced = catalogue.some((price) => ids.includes(price.provider) && price.model === model);
  return !priced && listed.some(({ id }) => id === model);
}

/** Units of every kind and direction: [kind, input, output]. */
const USED: readonly (readonly [kind: string, input: number, output: number])[] = [
  ['text', 1510, 500],
  ['text_cache_read', 1000, 0],
  ['text_cache_write', 50, 0],
  ['text_cache_write_1h', 7, 0],
  ['vision', 120, 30],
  ['vision_cache_read', 40, 0],
  ['audio', 90, 80],
  ['audio_cache_read', 25, 0],
  ['video', 60, 11],
  ['reasoning', 0, 77],
  ['citation', 0, 5],
  ['web_search_request', 0, 3],
  ['storage_search_request', 0, 2],
  ['request', 1, 0],
  ['audio_ms', 7_200_000, 0],
  ['document_page', 12, 0],
  ['annotated_page', 4, 0],
  ['text_message', 9, 0],
];

/** Units of what a price covers, tokens so many times, and the same in the package's counts, which include their parts. */
function usageOf(
  price: Price,
  times: number,
): { readonly units: ReadonlyMap<UnitKind, UnitCount>; readonly usage: Usage } {
  const units = new Map<UnitKind, UnitCount>();
  const used = new Map<string, number>();
  for (const [name, input, output] of USED) {
    const kind = unitKind(name);
    const rate = price.rates.get(kind);
    const factor = name.endsWith('_request') || name === 'request' || name === 'audio_ms' ? 1 : times;
    const count = {
      input: rate?.input === undefined ? 0 : input * factor,
      output: rate?.output === undefined ? 0 : output * factor,
    };
    units.set(kind, { input: BigInt(count.input), output: BigInt(count.output) });
    used.set(`${name}.input`, count.input).set(`${name}.output`, count.output);
  }
  const sum = (...parts: readonly string[]) =>
    parts.reduce((total, part) => total + (used.get(part) ?? 0), 0);
  const cacheReads = ['text_cache_read.input', 'vision_cache_read.input', 'audio_cache_read.input'];
  const cacheWrites = ['text_cache_write.input', 'text_cache_write_1h.input'];
  const modalInputs = ['text.input', 'vision.input', 'audio.input', 'video.input'];
  const outputs = ['text', 'vision', 'audio', 'video', 'reasoning', 'citation'].map(
    (kind) => `${kind}.output`,
  );
  const usage = {
    input_tokens: sum(...modalInputs, ...cacheReads, ...cacheWrites),
    cache_read_tokens: sum(...cacheReads),
    cache_write_tokens: sum(...cacheWrites),
    cache_write_1h_tokens: sum('text_cache_write_1h.input'),
    input_image_tokens: sum('vision.input', 'vision_cache_read.input'),
    cache_image_read_tokens: sum('vision_cache_read.input'),
    input_audio_tokens: sum('audio.input', 'audio_cache_read.input'),
    cache_audio_read_tokens: sum('audio_cache_read.input'),
    input_video_tokens: sum('video.input'),
    output_tokens: sum(...outputs),
    output_image_tokens: sum('vision.output'),
    output_audio_tokens: sum('audio.output'),
    output_video_tokens: sum('video.output'),
    output_reasoning_tokens: sum('reasoning.output'),
    output_citation_tokens: sum('citation.output'),
    web_searches: sum('web_search_request.output'),
    storage_searches: sum('storage_search_request.output'),
    audio_seconds: sum('audio_ms.input') / 1000,
    input_audio_seconds: sum('audio_ms.input') / 1000,
    input_document_pages: sum('document_page.input', 'annotated_page.input'),
    input_annotated_document_pages: sum('annotated_page.input'),
    input_text_messages: sum('text_message.input'),
  };
  return { units, usage };
}
