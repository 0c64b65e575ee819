import type { Binary, Decimal128 } from 'mongodb';

/**
 * The documents as MongoDB keeps them. Field names are short because one byte is 1 GB per 10^9 events. Keys are
 * (application, id) in that fixed order: in an embedded key the order of fields is part of equality. No client's string
 * is ever a field name: labels are lists of key and value; unit kinds follow a fixed pattern.
 */

/** `_id` is the application's id. */
export interface ApplicationDocument {
  _id: string;
  /** Revision: raised by every write to the application's types, versions and prices. */
  r: number;
}

export interface TypeKey {
  a: string;
  /** Name of the type. */
  n: string;
}

export interface TypeDocument {
  _id: TypeKey;
  /** Description. */
  ds: string;
  /** Current version. */
  v: number;
  /** Workflow type. */
  wf?: string;
  /** Task queue. */
  tq?: string;
  /** Revision of the type. */
  r: number;
  /** Created. */
  c: Date;
  /** Updated. */
  u: Date;
  /** Deleted. */
  d?: Date;
  /** Versions, oldest first; `q` is the id of the request that made it. */
  vs: { v: number; c: Date; q?: string }[];
}

export interface Label {
  k: string;
  v: string;
}

export interface ExperienceKey {
  a: string;
  /** Experience id. */
  x: Binary;
}

export interface ExperienceDocument extends TotalsFields {
  _id: ExperienceKey;
  /** Type; empty: none yet. */
  t: string;
  /** Version; 0: none yet. */
  v: number;
  /** Created. */
  c: Date;
  /** Deleted. */
  d?: Date;
  /** User id. */
  ui?: string;
  /** Properties. */
  lb?: Label[];
  /** Run. */
  run?: RunDocument;
}

/** The totals inside an experience. */
export interface TotalsFields {
  /** Events. */
  n: bigint;
  /** Cost of input. */
  ci: Decimal128;
  /** Cost of output. */
  co: Decimal128;
  /** Useful part of the total. */
  us: Decimal128;
  /** Wasted part of the total. */
  ws: Decimal128;
  /** Events with units without a price. */
  up: bigint;
  /** Units by kind. */
  un: Record<string, { i: bigint; o: bigint }>;
  /** First event time. */
  f?: Date;
  /** Last event time. */
  l?: Date;
}

export interface RunDocument {
  wf: string;
  id: string;
  tq: string;
  /** Hash of the request. */
  h: string;
  /** Run id, once the engine has confirmed it. */
  r?: string;
  /** Started. */
  c: Date;
}

export interface EventKey {
  a: string;
  /** Event id: Binary if it is a canonical UUID, else text. */
  e: Binary | string;
}

export interface EventDocument {
  _id: EventKey;
  /** Content hash. */
  h: Binary;
  /** Recorded. */
  r: Date;
  /** Event time. */
  q: Date;
  /** Experience id; absent: unattributed. */
  x?: Binary;
  /** Type; empty: none. */
  t: string;
  /** Version; 0: none. */
  v: number;
  /** Provider. */
  p: string;
  /** Model. */
  m: string;
  /** Requested model. */
  rm?: string;
  /** Units. */
  un: { k: string; i: bigint; o: bigint }[];
  /** Outcome. */
  oc: string;
  /** Cost of input. */
  ci: Decimal128;
  /** Cost of output. */
  co: Decimal128;
  /** Price. */
  pr?: Binary;
  /** Units without a price, and why. */
  up?: { k: string; i: bigint; o: bigint; w: string }[];
  /** Useful. Only ever true or absent: the index on operations holds the useful ones. */
  us?: true;
  /** Operation key. */
  op?: string;
  /** Step. */
  st?: string;
  /** Latency. */
  lt?: number;
  /** Time to first token. */
  ft?: number;
  /** HTTP status. */
  hs?: number;
  /** Provider's request id. */
  pq?: string;
  /** Provider's response id. */
  ps?: string;
  /** Properties. */
  lb?: Label[];
  /** User id. */
  ui?: string;
  /** Tags. */
  tg?: string[];
  /** Workflow source. */
  wf?: WorkflowSourceFields;
  /** It created its experience. */
  cr?: true;
  /** Its experience id was replaced. */
  rp?: true;
  /** Warnings. */
  wa?: string[];
}

export interface WorkflowSourceFields {
  ns: string;
  w: string;
  r: string;
  wt: string;
  ai: string;
  at: string;
  n: number;
  tq: string;
  lo: boolean;
  id: string;
}

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

/** `_id`: `version`, `lease`, `catalogue`, `page-token-key`, `probe`. */
export interface SchemaDocument {
  _id: string;
  /** Version, or revision of the catalogue. */
  v?: number;
  /** Hash of the catalogue that was last seeded. */
  h?: string;
  /** Key that signs page tokens. */
  k?: Binary;
  /** Lease: until when. */
  until?: Date;
  /** Lease: by whom. */
  owner?: string;
}

export interface RollupKey {
  /** Application. */
  a: string;
  /** Hour or day. */
  g: 'h' | 'd';
  /** Type; empty: none. */
  t: string;
  /** Version; 0: none. */
  v: number;
  /** Start, in UTC. */
  h: Date;
  /** Provider. */
  p: string;
  /** Model. */
  m: string;
  /** Lane. */
  l: number;
}

export interface RollupDocument {
  _id: RollupKey;
  n: bigint;
  ci: Decimal128;
  co: Decimal128;
  us: Decimal128;
  ws: Decimal128;
  up: bigint;
  un: Record<string, { i: bigint; o: bigint }>;
}

export interface HistogramKey {
  a: string;
  t: string;
  v: number;
  l: number;
}

export interface HistogramDocument {
  _id: HistogramKey;
  n: bigint;
  s: Decimal128;
  b: Record<string, bigint>;
}
