import type { Binary, Decimal128 } from 'mongodb';

/** The documents of limits as MongoDB keeps them; `documents.ts` says how. */

export interface LimitConfigFields {
  /** Allow or block. */
  ty: 'a' | 'b';
  /** Maximum. */
  mx: Decimal128;
  /** Threshold, a part of 1. */
  th: Decimal128;
  /** Tags. */
  tg?: string[];
}

export interface LimitKey {
  a: string;
  /** Limit id. */
  i: Binary;
}

export interface LimitDocument extends LimitConfigFields {
  _id: LimitKey;
  /** Name. */
  n: string;
  /** The name again while it is taken: of a limit that is shared and not deleted. */
  nk?: string;
  /** Experience that owns it; absent: it is shared. */
  x?: Binary;
  /** It is shared. Only ever true or absent. */
  s?: true;
  /** Number of the current period. */
  pn: number;
  /** The latest periods, oldest first: number, start, the id of the request that began it, the maximum at its end. */
  ps: { p: number; c: Date; q?: string; mx?: Decimal128 }[];
  /** Revision. */
  r: number;
  /** Created. */
  c: Date;
  /** Updated. */
  u: Date;
  /** Deleted. */
  d?: Date;
}

export interface LimitSumKey {
  a: string;
  /** Limit id. */
  i: Binary;
  /** Period. */
  p: number;
  /** 0: all that a blocking limit decides by; else a lane's number and 1. */
  l: number;
}

/** What was charged to a limit in one period. Only the sum over `l` means anything. */
export interface LimitSumDocument {
  _id: LimitSumKey;
  /** Spent. */
  sp?: Decimal128;
  /** The part of what is spent that was for input. */
  si?: Decimal128;
  /** Held by open reservations. */
  ho?: Decimal128;
  /** Unsettled part of what is spent. */
  un?: Decimal128;
  /** Events. */
  n?: bigint;
  /** Events by how they left the limit: ok, exceeded, overrun; and those that failed. */
  ko?: bigint;
  ke?: bigint;
  kv?: bigint;
  kf?: bigint;
  /** Reservations that it refused. */
  nb?: bigint;
  /** Reservations that another limit refused. */
  nx?: bigint;
}
