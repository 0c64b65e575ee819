import { type Money, wholeMoney } from '../domain/money.js';
import type { UnitKind } from '../domain/units.js';
import type { Uuid } from '../domain/uuid.js';
import type { ModelMatcher } from './model-matcher.js';

/**
 * What all unit kinds of a provider's model cost from a date on, in USD. A price is appended, never edited; the next
 * one of the same model ends it. An event keeps the id of the price it was recorded with.
 */
export interface Price {
  /** In the catalogue made of everything else that the price says, so that seeding a store twice gives the same rows. */
  readonly id: Uuid;
  readonly source: PriceSource;
  /** Lower-case, as `providerId` answers. */
  readonly provider: string;
  readonly model: string;
  /**
   * Which spellings of a model's name it covers: any of these. Of a catalogue model's prices the one appended last
   * decides, for all of them; none means that the model is gone. An application's price covers exactly `model`, in any
   * case.
   */
  readonly matchers: readonly ModelMatcher[];
  /** Place among the provider's catalogue models: of those that match a name the lowest counts. */
  readonly rank: number;
  /** undefined: since ever. */
  readonly effectiveTime: Date | undefined;
  readonly rates: ReadonlyMap<UnitKind, UnitRate>;
  /** It has no rates and only ends the price before it; after an application's own the catalogue applies again. */
  readonly retired: boolean;
  readonly createTime: Date;
  /** Which data a catalogue price was made from, e.g. `@pydantic/genai-prices 0.1.8`; empty for an application's own. */
  readonly sourceNote: string;
}

export type PriceSource = 'application' | 'catalogue';

/** A direction that is absent has no price: its units stay unpriced. */
export interface UnitRate {
  readonly input?: Rate;
  readonly output?: Rate;
}

/** Money per single unit. */
export interface Rate {
  readonly base: Money;
  /** In the order of their counts. */
  readonly tiers: readonly Tier[];
  /** The kind whose rate this is, where the source lists none for this kind. */
  readonly inheritedFrom?: UnitKind;
}

/**
 * A step of a rate. It applies when the request's input units of all token kinds together, cached ones included, are
 * more than `inputUnitsAbove`, and then to the whole request, not only to what is above.
 */
export interface Tier {
  readonly inputUnitsAbove: bigint;
  readonly price: Money;
}

/** What a price may ask for a single unit; catches a price per million that was typed into a field per unit. */
export const RATE_MAX: Money = wholeMoney(10_000n);
