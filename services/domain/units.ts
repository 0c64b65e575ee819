/**
 * Units: what a paid call used, a map of unit kind to whole numbers in and out. Kinds are disjoint: a cached token is
 * counted under `text_cache_read` and not under `text`.
 */
export type Units = ReadonlyMap<UnitKind, UnitCount>;

/** `text`, `text_cache_read`, `text_cache_write`, `vision`, `audio`, …; see {@link isUnitKind}. */
export type UnitKind = string & { readonly [unitKindBrand]: true };
declare const unitKindBrand: unique symbol;

export interface UnitCount {
  readonly input: bigint;
  readonly output: bigint;
}

export const UNIT_KINDS_MAX = 64;
export const UNITS_MAX = 10n ** 12n;
export const NO_UNITS: UnitCount = { input: 0n, output: 0n };

/** Fixed, because a kind becomes a field name in the store: no dot, no dollar, no `__proto__`. */
const UNIT_KIND = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/;
const UNIT_KIND_LENGTH_MAX = 48;

export function isUnitKind(text: string): text is UnitKind {
  return text.length <= UNIT_KIND_LENGTH_MAX && UNIT_KIND.test(text);
}

/** For kinds that our own code names. */
export function unitKind(text: string): UnitKind {
  if (!isUnitKind(text)) throw new RangeError(`'${text}' is not a unit kind`);
  return text;
}

/** The same units without kinds of which nothing was used, in alphabetical order: the canonical form. */
export function canonicalUnits(units: Units): Units {
  return new Map(
    [...units]
      .filter(([, { input, output }]) => input > 0n || output > 0n)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
