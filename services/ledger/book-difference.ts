import { differenceText, type FieldDifference, figureName, figureText, foundText } from './figures.js';

/** Where the books are not what the events add up to, or an event is not what it must be. */
export interface BookDifference {
  readonly subject: BookSubject;
  /** `cost.input`, `units[text].input`, `first_event_time`, …; see the contract. */
  readonly figure: string;
  /** Amounts, counts and times as texts; empty: it should not be there, or is not known. */
  readonly expected: string;
  readonly found: string;
  /** Found less expected; empty where that means nothing. */
  readonly difference: string;
  readonly state: DifferenceState;
}

export type DifferenceState =
  /** Repair would mend it. */
  | 'REPAIRABLE'
  /** This repair has mended it. */
  | 'REPAIRED'
  /** The events do not tell what is right. */
  | 'NOT_REPAIRABLE';

export type BookSubject =
  | { readonly kind: 'EXPERIENCE'; readonly experienceId: string }
  | RollupSubject
  | { readonly kind: 'HISTOGRAM'; readonly type: string; readonly version: number }
  | { readonly kind: 'EVENT'; readonly eventId: string; readonly experienceId: string | undefined }
  | { readonly kind: 'RESERVATION'; readonly eventId: string; readonly experienceId: string | undefined }
  | { readonly kind: 'LIMIT'; readonly limitId: string; readonly period: number };

export interface RollupSubject {
  readonly kind: 'HOUR_ROLLUP' | 'DAY_ROLLUP';
  readonly type: string;
  readonly version: number;
  readonly provider: string;
  readonly model: string;
  /** Start of the hour or day. */
  readonly start: Date;
}

export function bookDifferences(
  subject: BookSubject,
  fields: readonly FieldDifference[],
  state: DifferenceState,
): BookDifference[] {
  return fields.map((field) => ({
    subject,
    figure: figureName(field.field === 'n' && subject.kind === 'HISTOGRAM' ? 'experiences' : field.field),
    expected: figureText(field.field, field.expected),
    found: foundText(field),
    difference: differenceText(field),
    state,
  }));
}
