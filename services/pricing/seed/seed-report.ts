import type { Rate, UnitRate } from '../price.js';
import { lastAppended } from '../price-order.js';
import { pricesByModel } from '../prices-by-model.js';
import type { SeedResult } from './seed-catalogue.js';
import { SEED_TOPICS, type SeedNote, type SeedTopic } from './seed-note.js';

/** Subjects listed of each topic; the rest is counted. */
const SUBJECTS_MAX = 25;

/** What the catalogue holds and what of the data it does not: the text that is kept beside it. */
export function seedReport({ prices, providerCount, modelCount, notes }: SeedResult, source: string): string {
  const models = [...pricesByModel(prices).values()].map(lastAppended);
  const named = models.filter(({ matchers }) => matchers.length > 0);
  const rates = prices.flatMap((price) => [...price.rates.values()].flatMap(ratesOf));
  const inherited = rates.filter(({ inheritedFrom }) => inheritedFrom !== undefined);
  const tiered = rates.filter(({ tiers }) => tiers.length > 0);
  const dated = prices.filter(({ effectiveTime }) => effectiveTime !== undefined);
  const lines = [
    `Catalogue of prices, made from ${source}`,
    '',
    `data       ${providerCount} providers, ${modelCount} models`,
    `catalogue  ${new Set(named.map(({ provider }) => provider)).size} providers, ${named.length} models`,
    `           ${prices.length} prices, of which ${dated.length} from a date on`,
    `           ${rates.length} rates, of which ${inherited.length} inherited and ${tiered.length} with tiers`,
    ...topics().flatMap((topic) => linesOfTopic(topic, notes)),
  ];
  return `${lines.join('\n')}\n`;
}

function ratesOf({ input, output }: UnitRate): readonly Rate[] {
  return [input, output].filter((rate) => rate !== undefined);
}

function topics(): readonly SeedTopic[] {
  return Object.keys(SEED_TOPICS) as SeedTopic[]; // Exactly its keys, which TypeScript does not know.
}

function linesOfTopic(topic: SeedTopic, notes: readonly SeedNote[]): readonly string[] {
  const own = notes.filter((note) => note.topic === topic);
  if (own.length === 0) return [];
  const listed = own.slice(0, SUBJECTS_MAX).map(({ subject, text }) => `  ${subject}: ${text}`);
  const rest = own.length > SUBJECTS_MAX ? [`  and ${own.length - SUBJECTS_MAX} more`] : [];
  return ['', `${own.length} ${SEED_TOPICS[topic]}`, ...listed, ...rest];
}
