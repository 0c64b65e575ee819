import { Binary } from 'mongodb';
import { isUnitKind } from '../domain/units.js';
import type { EventDocument, EventKey } from './documents.js';
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
  return {
    key: document._id,
    id: eventIdText(document._id),
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
    figures.add(`un.${kind}.i`, input);
    figures.add(`un.${kind}.o`, output);
  }
  if (event.problems.length === 0) return;
  if (event.input === undefined) figures.markUnknown('ci', 'us', 'ws', 'ct');
  if (event.output === undefined) figures.markUnknown('co', 'us', 'ws', 'ct');
  if (event.timeMs === undefined) figures.markUnknown('f', 'l');
  if (event.problems.some(({ figure }) => figure === 'units')) figures.markUnknown('un');
}

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
    if (typeof entry?.k !== 'string' || !isKnownKind(entry.k)) return undefined;
    if (input === undefined || output === undefined) return undefined;
    units.push([entry.k, input, output]);
  }
  return units;
}

/** The same few kinds come again and again, and the pattern is not cheap. */
function isKnownKind(kind: string): boolean {
  if (KINDS.has(kind)) return true;
  if (!isUnitKind(kind)) return false;
  if (KINDS.size < KINDS_MAX) KINDS.add(kind);
  return true;
}

const KINDS = new Set<string>();
const KINDS_MAX = 1_000;

/** What a check reads of events. */
export const CHECKED_FIELDS = {
  ...{ x: 1, t: 1, v: 1, p: 1, m: 1, q: 1, r: 1, un: 1, up: 1, ci: 1, co: 1, us: 1 },
  ...{ uo: 1, op: 1, oc: 1, pr: 1, hp: 1 },
} as const;
