import {
  type BookDifference,
  type BookSubject,
  bookDifferences,
  type DifferenceState,
} from './book-difference.js';
import type { EventFindings } from './check-experiences.js';
import type { CheckProgress } from './check-scope.js';
import { type CheckedEvent, type EventProblem, experienceIdText } from './checked-event.js';
import type { CheckedReservation } from './checked-reservation.js';
import type { FieldDifference } from './figures.js';

/** Makes the differences of a check out of what it finds, and counts them. */
export class DifferenceReport {
  readonly #progress: CheckProgress;
  /** Events that were reported, by id and figure: most are read more than once. Beyond the bound they are counted again. */
  readonly #reported = new Set<string>();

  constructor(progress: CheckProgress) {
    this.#progress = progress;
  }

  *fields(
    subject: BookSubject,
    fields: readonly FieldDifference[],
    state: DifferenceState,
  ): Generator<BookDifference, void, undefined> {
    for (const difference of bookDifferences(subject, fields, state)) yield this.#counted(difference);
  }

  *events({ kept, others }: EventFindings): Generator<BookDifference, void, undefined> {
    for (const { event, problems } of kept) {
      for (const problem of problems) yield* this.event(event, problem, 'NOT_REPAIRABLE');
    }
    this.#progress.differences += others;
    this.#progress.notRepairable += others;
  }

  *event(
    { id, experience }: Pick<CheckedEvent, 'id' | 'experience'>,
    problem: EventProblem,
    state: DifferenceState,
  ): Generator<BookDifference, void, undefined> {
    const experienceId = experienceIdText(experience);
    yield* this.#once({ kind: 'EVENT', eventId: id, experienceId }, id, problem, state);
  }

  *reservation(
    { id, experience }: Pick<CheckedReservation, 'id' | 'experience'>,
    problem: EventProblem,
    state: DifferenceState,
  ): Generator<BookDifference, void, undefined> {
    const experienceId = experienceIdText(experience);
    yield* this.#once({ kind: 'RESERVATION', eventId: id, experienceId }, id, problem, state);
  }

  *#once(
    subject: BookSubject,
    id: string,
    { figure, expected, found }: EventProblem,
    state: DifferenceState,
  ): Generator<BookDifference, void, undefined> {
    const key = `${subject.kind}\n${id}\n${figure}`;
    if (this.#reported.has(key)) return;
    if (this.#reported.size < REMEMBERED_MAX) this.#reported.add(key);
    yield this.#counted({ subject, figure, expected, found, difference: '', state });
  }

  #counted(difference: BookDifference): BookDifference {
    this.#progress.differences += 1;
    if (difference.state === 'REPAIRED') this.#progress.repaired += 1;
    if (difference.state === 'NOT_REPAIRABLE') this.#progress.notRepairable += 1;
    return difference;
  }
}

const REMEMBERED_MAX = 10_000;
