import { z } from 'zod';
import type { ModelMatcher } from '../model-matcher.js';

/** A provider as the package's data lists it, checked, with its matchers in our form. */
export interface ListedProvider {
  readonly id: string;
  readonly fallbacks: readonly string[];
  readonly models: readonly ListedModel[];
}

export interface ListedModel {
  readonly id: string;
  readonly matchers: readonly ModelMatcher[];
  readonly entries: readonly ListedEntry[];
}

/** One map of prices and when it applies; without a constraint it does before all others. */
export interface ListedEntry {
  readonly constraint: ListedConstraint | undefined;
  readonly prices: Readonly<Record<string, ListedPrice>>;
}

export type ListedConstraint = { readonly startTime: Date } | { readonly window: string };

/** As the data has it: a double whose shortest decimal is what the author wrote. */
export type ListedPrice = number | ListedTiers;

export interface ListedTiers {
  readonly base: number;
  readonly tiers: readonly { readonly start: number; readonly price: number }[];
}

export function parseProviders(data: unknown): readonly ListedProvider[] {
  return z.array(provider).parse(data);
}

type MatchLogic =
  | { readonly or: readonly MatchLogic[] }
  | { readonly and: readonly MatchLogic[] }
  | { readonly equals: string }
  | { readonly starts_with: string }
  | { readonly ends_with: string }
  | { readonly contains: string }
  | { readonly regex: string };

const matchLogic: z.ZodType<MatchLogic> = z.union([
  z.strictObject({ equals: z.string() }),
  z.strictObject({ starts_with: z.string() }),
  z.strictObject({ ends_with: z.string() }),
  z.strictObject({ contains: z.string() }),
  z.strictObject({ regex: z.string() }),
  z.strictObject({
    get or(): z.ZodArray<z.ZodType<MatchLogic>> {
      return z.array(matchLogic);
    },
  }),
  z.strictObject({
    get and(): z.ZodArray<z.ZodType<MatchLogic>> {
      return z.array(matchLogic);
    },
  }),
]);

const price = z.union([
  z.number().nonnegative(),
  z.object({
    base: z.number().nonnegative(),
    tiers: z.array(z.object({ start: z.int().nonnegative(), price: z.number().nonnegative() })).min(1),
  }),
]);
const prices = z.record(z.string(), price);

/** A date means midnight UTC. A constraint of another type is one that this script does not know: it must stop. */
const constraint = z.union([
  z
    .strictObject({ type: z.literal('start_date'), start_date: z.iso.date() })
    .transform(({ start_date }): ListedConstraint => ({ startTime: new Date(`${start_date}T00:00:00Z`) })),
  z
    .strictObject({ type: z.literal('time_of_date'), start_time: z.string(), end_time: z.string() })
    .transform(({ start_time, end_time }): ListedConstraint => ({ window: `${start_time}-${end_time}` })),
]);

const entries = z.union([
  z.array(z.strictObject({ constraint: constraint.optional(), prices })).min(1),
  prices.transform((always) => [{ constraint: undefined, prices: always }]),
]);

const model = z.object({ id: z.string().min(1), match: matchLogic, prices: entries }).transform(
  (listed): ListedModel => ({
    id: listed.id,
    matchers: alternativesOf(listed.match),
    entries: listed.prices.map((entry) => ({ constraint: entry.constraint, prices: entry.prices })),
  }),
);

const provider = z
  .object({
    id: z.string().min(1),
    fallback_model_providers: z.array(z.string()).optional(),
    models: z.array(model),
  })
  .transform(
    (listed): ListedProvider => ({
      id: listed.id,
      fallbacks: listed.fallback_model_providers ?? [],
      models: listed.models,
    }),
  );

function alternativesOf(match: MatchLogic): readonly ModelMatcher[] {
  return 'or' in match ? match.or.map(toMatcher) : [toMatcher(match)];
}

/** The data compares without case, but for expressions, which meet the lower-case name. */
function toMatcher(match: MatchLogic): ModelMatcher {
  if ('equals' in match) return { equals: match.equals.toLowerCase() };
  if ('starts_with' in match) return { startsWith: match.starts_with.toLowerCase() };
  if ('ends_with' in match) return { endsWith: match.ends_with.toLowerCase() };
  if ('contains' in match) return { contains: match.contains.toLowerCase() };
  if ('regex' in match) return { regex: match.regex };
  if ('or' in match) return { or: match.or.map(toMatcher) };
  if ('and' in match) return { and: match.and.map(toMatcher) };
  return match satisfies never;
}
