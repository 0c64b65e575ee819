import type { Binary, Decimal128 } from 'mongodb';

/** A price as MongoDB keeps it; see documents.ts. */

export interface PriceKey {
  /** Application; empty: the catalogue. */
  a: string;
  /** Price id. */
  p: Binary;
}

export interface PriceDocument {
  _id: PriceKey;
  /** Provider. */
  p: string;
  /** Model, as given. */
  m: string;
  /** Model in lower case, for lookup. */
  ml: string;
  /** Effective from; absent: since ever. */
  q?: Date;
  /** Retired. */
  x?: true;
  /** Rates. */
  rt: { k: string; i?: RateFields; o?: RateFields }[];
  /** Spellings that a catalogue price covers; opaque to the store. */
  mt?: string;
  /** Rank among the provider's catalogue models. */
  rk?: number;
  /** Created. */
  c: Date;
  /** Source note. */
  sn?: string;
}

export interface RateFields {
  b: Decimal128;
  t?: { n: bigint; p: Decimal128 }[];
  /** Kind it is inherited from. */
  h?: string;
}
