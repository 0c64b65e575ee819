import { CatalogueIndex } from '../catalogue-index.js';
import { catalogueId } from '../catalogue-line.js';
import { FALLBACK_PROVIDERS } from '../fallback-providers.js';
import { isSafeRegex, type ModelMatcher } from '../model-matcher.js';
import type { Price } from '../price.js';
import { lastAppended } from '../price-order.js';
import { modelKey, pricesByModel } from '../prices-by-model.js';
import { providerId } from '../provider-id.js';
import { type PricesOfModel, priceBefore, pricesToAppend, retirementToAppend } from './append-prices.js';
import { assignRanks } from './assign-ranks.js';
import { type DraftModel, draftModel } from './draft-model.js';
import { type ListedModel, type ListedProvider, parseProviders } from './listed-provider.js';
import { implausibleRates, priceChanges } from './price-changes.js';
import type { SeedNote } from './seed-note.js';

export interface SeedRequest {
  /** The package's list of providers, not yet looked at. */
  readonly providers: unknown;
  /** Which data it is. */
  readonly source: string;
  readonly existing: readonly Price[];
  readonly now: Date;
}

export interface SeedResult {
  /** The existing prices and what is appended to them, in the order of the file. */
  readonly prices: readonly Price[];
  readonly appended: readonly Price[];
  readonly providerCount: number;
  readonly modelCount: number;
  readonly notes: readonly SeedNote[];
  /** What the appended prices change about known models. */
  readonly changes: readonly string[];
  /** Changes that someone must look at and accept. */
  readonly doubts: readonly string[];
  /** What this script or the pricing code cannot deal with yet: nothing may be written. */
  readonly problems: readonly string[];
}

/** Brings a catalogue to what the data says, by appending. The same data again appends nothing. */
export function seedCatalogue({ providers: data, source, existing, now }: SeedRequest): SeedResult {
  const providers = parseProviders(data);
  const known = pricesByModel(existing);
  const notes: SeedNote[] = [];
  const drafts: DraftModel[] = [];
  const unpriced: UnpricedModel[] = [];
  for (const provider of providers) {
    for (const model of provider.models) {
      const result = draftModel(provider.id, model, source);
      notes.push(...result.notes);
      if (result.draft === undefined) unpriced.push({ provider: provider.id, model });
      else drafts.push(result.draft);
    }
  }

  const { appended, changes, doubts } = appendAll(drafts, known, now, source);
  const prices = [...existing, ...appended].sort(inOrderOfFile);
  const problems = [...editedPrices(existing), ...problemsOf(providers, drafts)];
  if (problems.length === 0) problems.push(...coveredUnpriced(unpriced, prices));
  const counts = { providerCount: providers.length, modelCount: drafts.length + unpriced.length };
  return { prices, appended, ...counts, notes, changes, doubts, problems };
}

function appendAll(
  drafts: readonly DraftModel[],
  known: ReadonlyMap<string, PricesOfModel>,
  now: Date,
  source: string,
): Pick<SeedResult, 'appended' | 'changes' | 'doubts'> {
  const appended: Price[] = [];
  const changes: string[] = [];
  const doubts: string[] = [];
  const ranks = ranksOf(drafts, known);
  for (const draft of drafts) {
    const key = modelKey(draft.provider, draft.model);
    const existing = known.get(key);
    const added = pricesToAppend(draft, ranks.get(key) ?? 0, existing, now);
    appended.push(...added);
    doubts.push(...added.flatMap(implausibleRates));
    if (existing === undefined) {
      changes.push(`${draft.provider}:${draft.model} is new`);
      continue;
    }
    for (const after of added) {
      const before = priceBefore(existing, after.effectiveTime);
      if (before === undefined) continue;
      for (const { text, isDoubtful } of priceChanges(before, after))
        (isDoubtful ? doubts : changes).push(text);
    }
  }
  const drafted = new Set(drafts.map(({ provider, model }) => modelKey(provider, model)));
  for (const [key, existing] of known) {
    if (drafted.has(key)) continue;
    const retirement = retirementToAppend(existing, now, source);
    appended.push(...retirement);
    for (const { provider, model } of retirement) doubts.push(`${provider}:${model} is gone`);
  }
  return { appended, changes, doubts };
}

/** By {@link modelKey}. */
function ranksOf(
  drafts: readonly DraftModel[],
  known: ReadonlyMap<string, PricesOfModel>,
): ReadonlyMap<string, number> {
  const knownRanks = new Map([...known].map(([key, prices]) => [key, lastAppended(prices).rank]));
  const keysByProvider = new Map<string, string[]>();
  for (const { provider, model } of drafts) {
    const keys = keysByProvider.get(provider) ?? [];
    keys.push(modelKey(provider, model));
    keysByProvider.set(provider, keys);
  }
  return new Map([...keysByProvider.values()].flatMap((keys) => [...assignRanks(keys, knownRanks)]));
}

/** A price's id holds its content, so one that was changed by hand no longer fits its id. */
function editedPrices(existing: readonly Price[]): readonly string[] {
  return existing
    .filter((price) => catalogueId(price) !== price.id)
    .map(({ id, provider, model }) => `price ${id} of ${provider}:${model} was edited; append instead`);
}

function* problemsOf(providers: readonly ListedProvider[], drafts: readonly DraftModel[]): Generator<string> {
  for (const { id, fallbacks, models } of providers) {
    if (providerId(id) !== id) yield `provider ${id} is another provider's name in provider-id.ts`;
    if (fallbacks.join() !== (FALLBACK_PROVIDERS.get(id) ?? []).join()) {
      yield `provider ${id} falls back to '${fallbacks.join()}', fallback-providers.ts says otherwise`;
    }
    if (new Set(models.map((model) => model.id)).size < models.length)
      yield `provider ${id} lists a model twice`;
  }
  for (const { provider, model, matchers } of drafts) {
    for (const regex of matchers.flatMap(regexesOf)) {
      if (!isSafeRegex(regex)) yield `${provider}:${model} is matched by ${regex}, which could be slow`;
    }
  }
}

interface UnpricedModel {
  readonly provider: string;
  readonly model: ListedModel;
}

/** A model without a price must stay unpriced; one of its names must not reach another model's price instead. */
function coveredUnpriced(unpriced: readonly UnpricedModel[], prices: readonly Price[]): readonly string[] {
  const index = new CatalogueIndex(prices);
  return unpriced.flatMap(({ provider, model }) =>
    [model.id, ...model.matchers.flatMap(textsOf)].flatMap((name) => {
      const [other] = index.pricesOf(provider, name);
      if (other === undefined) return [];
      return [
        `${provider}:${model.id} has no price, but ${name} would get the one of ${other.provider}:${other.model}`,
      ];
    }),
  );
}

function regexesOf(matcher: ModelMatcher): readonly string[] {
  if ('regex' in matcher) return [matcher.regex];
  return partsOf(matcher).flatMap(regexesOf);
}

function textsOf(matcher: ModelMatcher): readonly string[] {
  if ('equals' in matcher) return [matcher.equals];
  if ('startsWith' in matcher) return [matcher.startsWith];
  if ('endsWith' in matcher) return [matcher.endsWith];
  if ('contains' in matcher) return [matcher.contains];
  return partsOf(matcher).flatMap(textsOf);
}

function partsOf(matcher: ModelMatcher): readonly ModelMatcher[] {
  if ('or' in matcher) return matcher.or;
  return 'and' in matcher ? matcher.and : [];
}

/** Prices of a model stand together, in the order in which they were appended. */
function inOrderOfFile(a: Price, b: Price): number {
  return (
    compare(a.provider, b.provider) ||
    compare(a.model, b.model) ||
    a.createTime.getTime() - b.createTime.getTime() ||
    (a.effectiveTime?.getTime() ?? 0) - (b.effectiveTime?.getTime() ?? 0)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
