import { Binary } from 'mongodb';
import { isUnitKind } from '../domain/units.js';
import type { ChargeFields, EventDocument, EventKey } from './documents.js';
import { amountOf, type Figures, toFigure, unreadableText } from './figures.js';

/** An event as the check of the books reads it: whatever it holds, it can be read, and what is wrong with it is said. */
export interface CheckedEvent {
  readonly key: EventKey;
  readonly id: string;
  readonly experience: Binary | undefined;
  readonly type: string;
  readonly version: number;
  readonly provider: string;
  readonly model: string;
  /** undefined: no time. */
  readonly timeMs: number | undefined;
  readonly input: bigint | undefined;
  readonly output: bigint | undefined;
  readonly units: readonly (readonly [kind: string, input: bigint, output: bigint])[];
  readonly useful: boolean;
  readonly document: EventDocument;
  readonly problems: readonly EventProblem[];
}

export interface EventProblem {
  readonly figure: string;
  readonly expected: string;
  readonly found: string;
}

export function toCheckedEvent(document: EventDocument): CheckedEvent {
  const problems: EventProblem[] = [];
  const amount = (field: 'ci' | 'co', figure: string) => {
    const value = amountOf(document[field]);
    if (value === undefined) {
      problems.push({ figure, expected: '', found: unreadableText(document[field]) });
    }
    return value;
  };
  const time: unknown = document.q;
  if (!(time instanceof Date))
    problems.push({ figure: 'event_time', expected: '', found: unreadableText(time) });
  const units = unitsOf(document.un);
  if (units === undefined)
    problems.push({ figure: 'units', expected: '', found: unreadableText(document.un) });
  const { se, li } = document;
  if (se !== undefined && !SETTLEMENTS.has(se))
    problems.push({ figure: 'settlement', expected: '', found: unreadableText(se) });
  if (chargesOf(li) === undefined)
    problems.push({ figure: 'charges', expected: '', found: unreadableText(li) });
  return {
    key: document._id,
    get id() {
      return eventIdText(document._id); // Of few events it is asked for.
    },
    experience: document.x,
    type: document.t,
    version: Number(document.v),
    provider: document.p,
    model: document.m,
    timeMs: time instanceof Date ? time.getTime() : undefined,
    input: amount('ci', 'cost.input'),
    output: amount('co', 'cost.output'),
    units: units ?? [],
    useful: document.us === true,
    document,
    problems,
  };
}

/** Adds an event to the figures that it counts in; what cannot be read of it makes them unknown. */
export function addEvent(figures: Figures, event: CheckedEvent): void {
  figures.add('n', 1n);
  figures.add('up', event.document.up === undefined ? 0n : 1n);
  figures.add('ci', event.input ?? 0n);
  figures.add('co', event.output ?? 0n);
  figures.add(event.useful ? 'us' : 'ws', (event.input ?? 0n) + (event.output ?? 0n));
  for (const [kind, input, output] of event.units) {
    const [inputField, outputField] = unitFields(kind);
    figures.add(inputField, input);
    figures.add(outputField, output);
  }
  if (event.problems.length === 0) return;
  if (event.input === undefined) figures.markUnknown('ci', 'us', 'ws', 'ct');
  if (event.output === undefined) figures.markUnknown('co', 'us', 'ws', 'ct');
  if (event.timeMs === undefined) figures.markUnknown('f', 'l');
  if (event.problems.some(({ figure }) => figure === 'units')) figures.markUnknown('un');
}

/** Of an experience: what of it is an estimate whose reservation ran out. */
export function addUnsettled(figures: Figures, { document, input, output }: CheckedEvent): void {
  if (document.se !== 'u') return;
  figures.add('uq', 1n);
  if (input === undefined || output === undefined) figures.markUnknown('uc');
  else figures.add('uc', input + output);
}

/** Charges to limits; undefined: they cannot be read. */
export function chargesOf(li: unknown): readonly ChargeFields[] | undefined {
  if (li === undefined) return NO_CHARGES;
  if (!Array.isArray(li)) return undefined;
  const isReadable = (li as readonly { readonly i?: unknown; readonly p?: unknown }[]).every(
    (charge) => charge?.i instanceof Binary && Number.isSafeInteger(charge.p),
  );
  return isReadable ? (li as readonly ChargeFields[]) : undefined; // As it was just seen to be.
}

const NO_CHARGES: readonly ChargeFields[] = [];
const SETTLEMENTS: ReadonlySet<unknown> = new Set(['s', 'u', 'r']);

/** Any id, as the contract spells it. */
export function eventIdText({ e }: EventKey): string {
  if (!(e instanceof Binary)) return String(e);
  const hex = Buffer.from(e.buffer.subarray(0, e.position)).toString('hex');
  return uuidText(hex);
}

export function experienceIdText(x: Binary | undefined): string | undefined {
  return x === undefined
    ? undefined
    : uuidText(Buffer.from(x.buffer.subarray(0, x.position)).toString('hex'));
}

function uuidText(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function unitsOf(un: unknown): CheckedEvent['units'] | undefined {
  if (!Array.isArray(un)) return undefined;
  const units: (readonly [string, bigint, bigint])[] = [];
  for (const entry of un as readonly { readonly k?: unknown; readonly i?: unknown; readonly o?: unknown }[]) {
    const [input, output] = [toFigure('n', entry?.i), toFigure('n', entry?.o)];
    if (typeof entry?.k !== 'string' || !(UNIT_FIELDS.has(entry.k) || isUnitKind(entry.k))) return undefined;
    if (input === undefined || output === undefined) return undefined;
    units.push([entry.k, input, output]);
  }
  return units;
}

/** The same few kinds come again and again; the pattern that they follow is not cheap, nor is it to put their fields together. */
function unitFields(kind: string): readonly [input: string, output: string] {
  const known = UNIT_FIELDS.get(kind);
  if (known !== undefined) return known;
  const fields = [`un.${kind}.i`, `un.${kind}.o`] as const;
  if (UNIT_FIELDS.size < KINDS_MAX) UNIT_FIELDS.set(kind, fields);
  return fields;
}

const UNIT_FIELDS = new Map<string, readonly [input: string, output: string]>();
const KINDS_MAX = 1_000;

/** What a check reads of events, and beside it where it looks at each. */
export function checkedFields(deep: boolean): Readonly<Record<string, 1>> {
  return deep ? DEEP_FIELDS : FIELDS;
}

const FIELDS = { x: 1, t: 1, v: 1, p: 1, m: 1, q: 1, un: 1, up: 1, ci: 1, co: 1, us: 1, se: 1 } as const;
const DEEP_FIELDS = { ...FIELDS, r: 1, uo: 1, op: 1, oc: 1, pr: 1, hp: 1, li: 1 } as const;
