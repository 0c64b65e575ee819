import { type UnitKind, unitKind } from '../../domain/units.js';
import type { Rate, UnitRate } from '../price.js';
import type { ListedEntry, ListedPrice } from './listed-provider.js';
import { pricePerUnit } from './price-per-unit.js';
import { sameRate } from './same-rates.js';

type Direction = 'input' | 'output';

interface Place {
  readonly kind: UnitKind;
  readonly direction: Direction;
  /** So many of our units the listed price is for. */
  readonly units: bigint;
}

const MILLION = 1_000_000n;
const THOUSAND = 1_000n;
const HOUR_MS = 3_600_000n;

/**
 * Where each price of the data belongs. The data's counts are totals that include their parts, but its prices apply to
 * what is left without them, as ours do: one to one. Tool calls and requests have no direction there; they get one.
 */
const PLACES: ReadonlyMap<string, Place> = new Map([
  ['input_mtok', place('text', 'input', MILLION)],
  ['output_mtok', place('text', 'output', MILLION)],
  ['cache_read_mtok', place('text_cache_read', 'input', MILLION)],
  ['cache_write_mtok', place('text_cache_write', 'input', MILLION)],
  ['cache_write_1h_mtok', place('text_cache_write_1h', 'input', MILLION)],
  ['input_image_mtok', place('vision', 'input', MILLION)],
  ['cache_image_read_mtok', place('vision_cache_read', 'input', MILLION)],
  ['output_image_mtok', place('vision', 'output', MILLION)],
  ['input_audio_mtok', place('audio', 'input', MILLION)],
  ['cache_audio_read_mtok', place('audio_cache_read', 'input', MILLION)],
  ['output_audio_mtok', place('audio', 'output', MILLION)],
  ['input_video_mtok', place('video', 'input', MILLION)],
  ['output_video_mtok', place('video', 'output', MILLION)],
  ['output_reasoning_mtok', place('reasoning', 'output', MILLION)],
  ['output_citation_mtok', place('citation', 'output', MILLION)],
  ['web_searches_kcount', place('web_search_request', 'output', THOUSAND)],
  ['storage_searches_kcount', place('storage_search_request', 'output', THOUSAND)],
  ['requests_kcount', place('request', 'input', THOUSAND)],
  ['audio_hours', place('audio_ms', 'input', HOUR_MS)],
  ['input_audio_hours', place('audio_ms', 'input', HOUR_MS)],
  ['input_document_kpages', place('document_page', 'input', THOUSAND)],
  ['input_annotated_document_kpages', place('annotated_page', 'input', THOUSAND)],
  ['input_text_messages_kcount', place('text_message', 'input', THOUSAND)],
]);

function place(kind: string, direction: Direction, units: bigint): Place {
  return { kind: unitKind(kind), direction, units };
}

interface Inheritance {
  readonly kind: UnitKind;
  readonly direction: Direction;
  /** The first of these that is listed. */
  readonly from: readonly UnitKind[];
}

/**
 * Kinds that cost what another costs where the list has no price of their own. All other kinds stay unpriced then:
 * audio or a one-hour cache write at the price of text would be far too cheap.
 */
const INHERITANCES: readonly Inheritance[] = [
  inheritance('text_cache_read', 'input', ['text']),
  inheritance('text_cache_write', 'input', ['text']),
  inheritance('vision', 'input', ['text']),
  inheritance('vision_cache_read', 'input', ['text_cache_read', 'vision', 'text']),
  inheritance('reasoning', 'output', ['text']),
];

function inheritance(kind: string, direction: Direction, from: readonly string[]): Inheritance {
  return { kind: unitKind(kind), direction, from: from.map(unitKind) };
}

export interface ListedRates {
  /** In alphabetical order of kinds. */
  readonly rates: ReadonlyMap<UnitKind, UnitRate>;
  /** Keys of which a price had to be rounded. */
  readonly roundedKeys: readonly string[];
  /** Keys for which there is no unit kind. */
  readonly unknownKeys: readonly string[];
  /** Keys that name a place that another key has priced differently; the first counts. */
  readonly conflictingKeys: readonly string[];
}

export function listedRates(prices: ListedEntry['prices']): ListedRates {
  const rates = new Map<UnitKind, UnitRate>();
  const roundedKeys: string[] = [];
  const unknownKeys: string[] = [];
  const conflictingKeys: string[] = [];
  for (const [key, listed] of Object.entries(prices)) {
    const target = PLACES.get(key);
    if (target === undefined) {
      unknownKeys.push(key);
      continue;
    }
    const { rate, rounded } = toRate(listed, target.units);
    if (rounded) roundedKeys.push(key);
    const taken = rates.get(target.kind)?.[target.direction];
    if (taken === undefined) setRate(rates, target, rate);
    else if (!sameRate(taken, rate)) conflictingKeys.push(key);
  }
  return { rates: withInherited(rates), roundedKeys, unknownKeys, conflictingKeys };
}

function withInherited(listed: ReadonlyMap<UnitKind, UnitRate>): ReadonlyMap<UnitKind, UnitRate> {
  const rates = new Map(listed);
  for (const { kind, direction, from } of INHERITANCES) {
    if (listed.get(kind)?.[direction] !== undefined) continue;
    for (const inheritedFrom of from) {
      const rate = listed.get(inheritedFrom)?.[direction];
      if (rate === undefined) continue;
      setRate(rates, { kind, direction }, { ...rate, inheritedFrom });
      break;
    }
  }
  return new Map([...rates].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function setRate(rates: Map<UnitKind, UnitRate>, to: Omit<Place, 'units'>, rate: Rate): void {
  const others = rates.get(to.kind);
  rates.set(to.kind, to.direction === 'input' ? { ...others, input: rate } : { ...others, output: rate });
}

function toRate(listed: ListedPrice, units: bigint): { readonly rate: Rate; readonly rounded: boolean } {
  if (typeof listed === 'number') {
    const { price, rounded } = pricePerUnit(listed, units);
    return { rate: { base: price, tiers: [] }, rounded };
  }
  const base = pricePerUnit(listed.base, units);
  const tiers = listed.tiers
    .toSorted((a, b) => a.start - b.start)
    .map(({ start, price }) => ({ inputUnitsAbove: BigInt(start), ...pricePerUnit(price, units) }));
  return {
    rate: {
      base: base.price,
      tiers: tiers.map(({ inputUnitsAbove, price }) => ({ inputUnitsAbove, price })),
    },
    rounded: base.rounded || tiers.some(({ rounded }) => rounded),
  };
}
