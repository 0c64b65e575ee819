import type { UnitKind } from '../../domain/units.js';
import type { ModelMatcher } from '../model-matcher.js';
import type { UnitRate } from '../price.js';
import type { ListedModel } from './listed-provider.js';
import { type ListedRates, listedRates } from './listed-rates.js';
import type { SeedNote, SeedTopic } from './seed-note.js';

/** What the data says now about a model that has a price. */
export interface DraftModel {
  readonly provider: string;
  readonly model: string;
  readonly matchers: readonly ModelMatcher[];
  /** Ascending by date, one a date, at least one. */
  readonly prices: readonly [DraftPrice, ...DraftPrice[]];
  readonly sourceNote: string;
}

export interface DraftPrice {
  /** undefined: since ever; only the first. */
  readonly effectiveTime: Date | undefined;
  /** undefined: from then on the data has no price. */
  readonly rates: ReadonlyMap<UnitKind, UnitRate> | undefined;
}

export interface DraftResult {
  /** undefined: the data has no price for the model. */
  readonly draft: DraftModel | undefined;
  readonly notes: readonly SeedNote[];
}

export function draftModel(provider: string, listed: ListedModel, source: string): DraftResult {
  const subject = `${provider}:${listed.id}`;
  const notes: SeedNote[] = [];
  const note = (topic: SeedTopic, text: string) => notes.push({ topic, subject, text });
  const prices: DraftPrice[] = [];
  for (const { constraint, prices: listedPrices } of listed.entries) {
    if (constraint !== undefined && 'window' in constraint) {
      note('TIME_OF_DAY', `${constraint.window} ${JSON.stringify(listedPrices)}`);
      continue;
    }
    const { rates, ...doubts } = listedRates(listedPrices);
    const effectiveTime = constraint?.startTime;
    noteDoubts(note, doubts, effectiveTime);
    prices.push({ effectiveTime, rates: rates.size > 0 ? rates : undefined });
  }
  checkOrder(subject, prices);
  if (MINIMUM_BILLED.has(subject)) note('MINIMUM_BILLED', 'a request is billed as 10 s at least');

  const [first, ...later] = prices;
  const model = { provider, model: listed.id, matchers: listed.matchers };
  if (first !== undefined && prices.some(({ rates }) => rates !== undefined))
    return { draft: { ...model, prices: [first, ...later], sourceNote: source }, notes };
  if (isFreeByName(provider, listed)) {
    note('FREE_BY_NAME', 'priced at 0');
    return { draft: { ...model, prices: [FREE], sourceNote: `${source}; free by its name` }, notes };
  }
  note('NO_PRICE', 'not imported');
  return { draft: undefined, notes };
}

/** Billed for a least duration, which a price per unit cannot say; the package's own arithmetic has a case for them. */
const MINIMUM_BILLED: ReadonlySet<string> = new Set(['groq:whisper-large-v3', 'groq:whisper-large-v3-turbo']);

const FREE: DraftPrice = {
  effectiveTime: undefined,
  rates: listedRates({ input_mtok: 0, output_mtok: 0 }).rates,
};

/**
 * A model without prices is one whose price the data does not know, with one exception: OpenRouter promises that a
 * model whose name ends so costs nothing.
 */
function isFreeByName(provider: string, { id, entries }: ListedModel): boolean {
  const isEmpty = entries.every(({ prices }) => Object.keys(prices).length === 0);
  return isEmpty && provider === 'openrouter' && id.endsWith(':free');
}

function noteDoubts(
  note: (topic: SeedTopic, text: string) => void,
  { roundedKeys, unknownKeys, conflictingKeys }: Omit<ListedRates, 'rates'>,
  effectiveTime: Date | undefined,
): void {
  const since = effectiveTime === undefined ? '' : ` from ${effectiveTime.toISOString().slice(0, 10)}`;
  for (const key of roundedKeys) note('ROUNDED', key + since);
  for (const key of unknownKeys) note('KEY_UNKNOWN', key + since);
  for (const key of conflictingKeys) note('KEY_CONFLICT', key + since);
}

/** The data means "the last that applies"; only in the order of dates is that the latest price. */
function checkOrder(subject: string, prices: readonly DraftPrice[]): void {
  for (const [index, { effectiveTime }] of prices.entries()) {
    const before = prices[index - 1];
    if (before === undefined) continue;
    if (effectiveTime === undefined || (before.effectiveTime ?? 0) >= effectiveTime) {
      throw new RangeError(`the prices of ${subject} are not in the order of their dates`);
    }
  }
}
