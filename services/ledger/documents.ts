import type { Binary, Decimal128 } from 'mongodb';
import type { Scope } from '../domain/api-key.js';
import type { LimitConfigFields } from './limit-fields.js';

/**
 * The documents as MongoDB keeps them. Field names are short because one byte is 1 GB per 10^9 events. Keys are
 * (application, id) in that fixed order: in an embedded key the order of fields is part of equality. No client's string
 * is ever a field name: labels are lists of key and value; unit kinds follow a fixed pattern.
 */

/** `_id` is the application's id; empty: the catalogue's. */
export interface ApplicationDocument {
  _id: string;
  /** Revision: raised by every write to the application's types, versions and prices, or to the catalogue's. */
  r: number;
  /** Unit kinds that its events have used: a rollup may hold all of them, so there is a bound. */
  uk?: string[];
  /** It has reserved: only then a record may have a reservation. */
  hr?: true;
  /** Description. */
  ds?: string;
  /** Strict ids. */
  si?: boolean;
  /** Raised by every key that is created, so that two that are created at once meet. */
  kr?: number;
  /** Created; absent: before there were keys. */
  c?: Date;
}

/** `_id` is the key's id: a caller's key names nothing else. */
export interface ApiKeyDocument {
  _id: string;
  /** Application. */
  a: string;
  /** Scopes, with all that are implied. */
  s: Scope[];
  /** SHA-256 of the secret. */
  h: Binary;
  /** Description. */
  ds?: string;
  /** Id of the request that made it. */
  q?: string;
  /** Created. */
  c: Date;
  /** Revoked. */
  d?: Date;
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
  /** Limit of each new experience; absent: none. */
  lc?: LimitConfigFields;
  /** Logging disabled; absent: it is not. */
  ld?: true;
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

export interface ExperienceDocument extends SumsFields {
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
  /** Cost in total, for the order of the dearest; absent: no event yet. */
  ct?: Decimal128;
  /** First event time. */
  f?: Date;
  /** Last event time. */
  l?: Date;
  /** Type of the limit that it owns, whose id is the experience's; absent: it owns none. */
  lm?: 'a' | 'b';
  /** Held by open reservations; this and the next three absent: nothing. */
  ho?: Decimal128;
  /** Open reservations. */
  hn?: bigint;
  /** Unsettled part of the total. */
  uc?: Decimal128;
  /** Unsettled events. */
  uq?: bigint;
}

/** What a number of events add up to. */
export interface SumsFields {
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
  /** Units by kind; absent in a rollup that a lane began without any, and so may be one of the two counts. */
  un?: Record<string, { i?: bigint; o?: bigint }>;
}

/** Times are starts of hours or days, UTC. */
export interface RollupKey {
  a: string;
  /** Hour or day. */
  g: 'h' | 'd';
  /** Type; empty: none. */
  t: string;
  /** Version; 0: none. */
  v: number;
  h: Date;
  /** Provider. */
  p: string;
  /** Model. */
  m: string;
  /** Lane. */
  l: number;
}

/** The events of one hour or day, type, version, provider and model. Only the sum over lanes means anything. */
export interface RollupDocument extends SumsFields {
  _id: RollupKey;
}

export interface HistogramKey {
  a: string;
  t: string;
  v: number;
  /** Lane. */
  l: number;
}

/** The totals of the experiences of a type and version that have events. Only the sum over lanes means anything. */
export interface HistogramDocument {
  _id: HistogramKey;
  /** Experiences. */
  n: bigint;
  /** Sum of their totals. */
  s: Decimal128;
  /** Experiences by bucket of their total; absent where a lane began with one that grew within its bucket. */
  b?: Record<string, bigint>;
}

/** Written by every recording of an unattributed operation, so that two of the same one meet. */
export interface GuardDocument {
  _id: { a: string /** Slot. */; s: number };
  n: bigint;
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
  /** The input of a conversation's workflow, JSON. */
  in?: string;
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
  /** Repricings: id, price, time, and what they added to the cost. */
  hp?: { i: Binary; p: Binary; r: Date; ci: Decimal128; co: Decimal128 }[];
  /** Useful. Only ever true or absent. */
  us?: true;
  /** Hash of experience and operation key: only in the useful event of an operation. */
  uo?: Binary;
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
  /** Settlement: settled, unsettled or released; absent: there was no reservation. */
  se?: 's' | 'u' | 'r';
  /** Charges. */
  li?: ChargeFields[];
}

/** A limit, the period that is charged, and whether it blocks. */
export interface ChargeFields {
  i: Binary;
  p: number;
  b?: true;
}

/** The keys are those of events. One without a provider is a tombstone. None is ever deleted. */
export interface ReservationDocument {
  _id: EventKey;
  /** Content hash; empty in a tombstone. */
  h: Binary;
  /** State: open, settled, released or unsettled. */
  s: 'o' | 's' | 'r' | 'u';
  /** Created. */
  r: Date;
  /** Expires. */
  u: Date;
  /** Experience id; absent: unattributed. */
  x?: Binary;
  /** Provider. */
  p?: string;
  /** Model. */
  m?: string;
  /** Units of the estimate. */
  un?: EventDocument['un'];
  /** Those without a price, and why. */
  up?: EventDocument['up'];
  /** Estimated cost of input. */
  ei?: Decimal128;
  /** Estimated cost of output. */
  eo?: Decimal128;
  /** It holds nothing, whatever was estimated. */
  nh?: true;
  /** Price. */
  pr?: Binary;
  /** Operation key. */
  op?: string;
  /** Step. */
  st?: string;
  /** Properties. */
  lb?: Label[];
  /** Workflow source. */
  wf?: WorkflowSourceFields;
  /** User id. */
  ui?: string;
  /** Tags. */
  tg?: string[];
  /** Charges. */
  li?: ChargeFields[];
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

/** `_id`: `version`, `lease`, `catalogue`, `page-token-key`, `repair`, and `lane-` with a number. */
export interface SchemaDocument {
  _id: string;
  /** Version. */
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

/** One repricing of an application. */
export interface RepricingDocument {
  _id: { a: string /** Repricing id. */; i: Binary };
  /** Hash of what it was asked for: a repeat must be the same. */
  h: string;
  /** Created. */
  c: Date;
  /** Events that it priced. */
  n: bigint;
  /** What they cost by it. */
  ci: Decimal128;
  co: Decimal128;
}

/** What a repair has changed in one document. */
export interface RepairDocument {
  _id: { a: string /** Repair id. */; i: Binary };
  /** Created. */
  c: Date;
  /** What it is the document of. */
  w: 'experience' | 'rollup' | 'histogram' | 'event' | 'reservation' | 'limit';
  /** Its key; without a lane: all of them together. */
  k: object;
  /** Figures: field, what it is now, what it was. */
  g: { f: string; e: string; w: string }[];
}
