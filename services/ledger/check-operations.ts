import type { Binary } from 'mongodb';
import type { Uuid } from '../domain/uuid.js';
import type { CheckedEvent } from './checked-event.js';
import { operationHash } from './operation-hash.js';

/** How an event is to be marked in place of how it is. */
export interface FlagFinding {
  readonly event: CheckedEvent;
  readonly useful: boolean;
  /** Its operation's place in the index; undefined: it is not to have one. */
  readonly uo: Binary | undefined;
}

/**
 * Which events of one experience are marked wrongly. Of the succeeded events of an operation exactly one is useful. Which
 * one is the order of the commits, which no event tells: record times of two processes are those of two clocks. So one
 * that is marked alone is right; where there is none or are several, it is the one with the latest record time.
 */
export class OperationCheck {
  readonly #experienceId: Uuid | undefined;
  readonly #operations = new Map<string, OperationMarks>();
  readonly #findings: FlagFinding[] = [];

  constructor(experienceId: Uuid | undefined) {
    this.#experienceId = experienceId;
  }

  add(event: CheckedEvent): void {
    const { op, oc, uo } = event.document;
    if (op === undefined || oc !== 'SUCCEEDED') {
      this.#expect(event, oc === 'SUCCEEDED', undefined);
      return;
    }
    const marks = this.#operations.get(op) ?? { useful: [], wasted: undefined, strays: [] };
    this.#operations.set(op, marks);
    if (event.useful) marks.useful.push(event);
    else marks.wasted = marks.wasted === undefined ? event : later(marks.wasted, event);
    if (!event.useful && uo !== undefined) marks.strays.push(event);
  }

  findings(): readonly FlagFinding[] {
    for (const [operationKey, { useful, wasted, strays }] of this.#operations) {
      const hash = operationHash({ experienceId: this.#experienceId, operationKey });
      const right = useful.length === 0 ? wasted : useful.reduce(later);
      const touched = new Set([...useful, ...strays, ...(right === undefined ? [] : [right])]);
      for (const event of touched) this.#expect(event, event === right, event === right ? hash : undefined);
    }
    return this.#findings;
  }

  #expect(event: CheckedEvent, useful: boolean, uo: Binary | undefined): void {
    if (event.useful !== useful || !isSame(event.document.uo, uo)) this.#findings.push({ event, useful, uo });
  }
}

/** Of an operation's succeeded events only those that may be marked wrongly. */
interface OperationMarks {
  readonly useful: CheckedEvent[];
  /** The latest that is not marked. */
  wasted: CheckedEvent | undefined;
  /** Not marked, but in the index of those that are. */
  readonly strays: CheckedEvent[];
}

export function later(a: CheckedEvent, b: CheckedEvent): CheckedEvent {
  return recordTimeOf(b) >= recordTimeOf(a) ? b : a;
}

function recordTimeOf({ document }: CheckedEvent): number {
  return Number(document.r);
}

export function isSame(a: Binary | undefined, b: Binary | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.compare(a.buffer, b.buffer) === 0;
}
