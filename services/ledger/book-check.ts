import { DAY_MS, HOUR_MS } from '../domain/cost-query.js';
import type { BookDifference } from './book-difference.js';
import type { BookMender } from './book-mender.js';
import { CostCheck } from './check-costs.js';
import {
  checkExperiences,
  checkExperiencesAgain,
  type EventFinding,
  type EventFindings,
  type ExperienceFinding,
  type ExperiencesPage,
} from './check-experiences.js';
import {
  checkHistogram,
  type HistogramFinding,
  type HistogramKeyPart,
  nextPlace,
} from './check-histograms.js';
import { checkLimitAgain, checkLimits, type LimitFinding } from './check-limits.js';
import type { FlagFinding } from './check-operations.js';
import { checkReservations, settlementProblems } from './check-reservations.js';
import {
  checkDay,
  checkHour,
  type EventWatch,
  nextDay,
  nextHour,
  type RollupFinding,
} from './check-rollups.js';
import {
  type CheckProgress,
  type CheckScope,
  type ExperiencePosition,
  isWholeScope,
  newProgress,
} from './check-scope.js';
import { checkUnattributedHour, checkUndecided } from './check-unattributed.js';
import { type CheckedEvent, experienceIdText } from './checked-event.js';
import { DifferenceReport } from './difference-report.js';
import type { EventKey, ExperienceKey } from './documents.js';
import { estimatedTotals } from './estimated-totals.js';
import { inLongSnapshot } from './long-snapshot.js';
import { startOfDay } from './rollup-deltas.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/**
 * Checks the books of an application against its events, and mends them if it has a mender. Each range of keys is read in
 * one snapshot, so that what is recorded meanwhile is on both sides of a comparison or on none.
 */
export class BookCheck implements EventWatch {
  readonly progress: CheckProgress = newProgress();
  readonly #store: Store;
  readonly #scope: CheckScope;
  readonly #mender: BookMender | undefined;
  readonly #signal: AbortSignal;
  readonly #costs: CostCheck;
  /** Experiences whose total is wrong still; beyond the bound a wrong total is found in its histogram too. */
  readonly #wrongTotals: ExperienceKey[] = [];
  /** How events are to be marked that are not so yet, by id. */
  readonly #marks = new Map<string, boolean>();
  /** Reservations that ought not to be open, and are not mended: they hold nothing. */
  readonly #ended = new Set<string>();
  readonly #report = new DifferenceReport(this.progress);

  constructor(
    store: Store,
    scope: CheckScope,
    options: { readonly mender?: BookMender; readonly signal: AbortSignal },
  ) {
    this.#store = store;
    this.#scope = scope;
    this.#mender = options.mender;
    this.#signal = options.signal;
    this.#costs = new CostCheck(store, scope.application);
  }

  /** Ends when all is checked. States and marks come first, for totals follow them; then totals, for histograms follow those. */
  async *differences(): AsyncGenerator<BookDifference, void, undefined> {
    const isWhole = isWholeScope(this.#scope);
    Object.assign(this.progress, await estimatedTotals(this.#store, this.#scope));
    if (this.#scope.deep && isWhole) yield* this.#checkReservations();
    if (this.#scope.deep && this.#scope.type === undefined) yield* this.#checkUnattributed();
    yield* this.#checkExperiences();
    yield* this.#checkRollups();
    yield* this.#checkHistograms();
    if (isWhole) yield* this.#checkLimits();
  }

  usefulOf(event: CheckedEvent): boolean {
    return this.#marks.size === 0 ? event.useful : (this.#marks.get(event.id) ?? event.useful);
  }

  async problemsOf(events: readonly CheckedEvent[], snapshot: Snapshot): Promise<readonly EventFinding[]> {
    this.#signal.throwIfAborted();
    const own = events.flatMap((event) =>
      event.problems.length === 0 ? [] : [{ event, problems: event.problems }],
    );
    if (!this.#scope.deep) return own;
    const settlements = await settlementProblems(this.#store, events, snapshot);
    return [...own, ...(await this.#costs.problemsOf(events, snapshot)), ...settlements];
  }

  async *#checkReservations(): AsyncGenerator<BookDifference, void, undefined> {
    this.progress.phase = 'RESERVATIONS';
    let after: EventKey | undefined;
    for (let attempt = 1; ; ) {
      const from = after;
      const page = await this.#inSnapshot((snapshot) =>
        checkReservations(this.#store, this.#scope.application, from, snapshot),
      );
      const isMended = page.wrong.length > 0 && ((await this.#mender?.reservations(page.wrong)) ?? false);
      // What has moved since it was read is read anew.
      if (page.wrong.length > 0 && this.#mender !== undefined && !isMended && attempt < ATTEMPTS_MAX) {
        attempt += 1;
        continue;
      }
      attempt = 1;
      this.progress.reservations += page.reservations;
      for (const { reservation, problem } of page.wrong) {
        const isOpen = reservation.document.s === 'o';
        if (!isMended && isOpen && this.#ended.size < REMEMBERED_MAX) this.#ended.add(reservation.id);
        yield* this.#report.reservation(reservation, problem, isMended ? 'REPAIRED' : 'REPAIRABLE');
      }
      for (const { reservation, problem } of page.problems)
        yield* this.#report.reservation(reservation, problem, 'NOT_REPAIRABLE');
      after = page.next;
      if (after === undefined) return;
    }
  }

  async *#checkUnattributed(): AsyncGenerator<BookDifference, void, undefined> {
    this.progress.phase = 'OPERATIONS';
    const undecided = new Map<string, CheckedEvent>();
    const found = new Set<string | undefined>();
    for await (const hour of this.#hours(this.#firstDay(), undefined)) {
      const page = await this.#inSnapshot((snapshot) =>
        checkUnattributedHour(this.#store, this.#scope, hour, snapshot),
      );
      for (const { event } of page.flags) if (found.size < REMEMBERED_MAX) found.add(event.document.op);
      yield* this.#mendFlags(page.flags);
      for (const [operation, event] of page.undecided) {
        if (undecided.size < REMEMBERED_MAX) undecided.set(operation, event);
      }
    }
    for (const operation of found) if (operation !== undefined) undecided.delete(operation);
    if (undecided.size === 0 || found.size >= REMEMBERED_MAX) return;
    yield* this.#mendFlags(
      await this.#inSnapshot((snapshot) => checkUndecided(this.#store, this.#scope, undecided, snapshot)),
    );
  }

  async *#mendFlags(flags: readonly FlagFinding[]): AsyncGenerator<BookDifference, void, undefined> {
    for (let start = 0; start < flags.length; start += FLAGS_AT_ONCE_MAX) {
      const some = flags.slice(start, start + FLAGS_AT_ONCE_MAX);
      const mended = (await this.#mender?.flags(some)) ?? false;
      yield* this.#reportFlags(some, mended);
    }
  }

  async *#checkExperiences(): AsyncGenerator<BookDifference, void, undefined> {
    this.progress.phase = 'EXPERIENCES';
    let after: ExperiencePosition | undefined;
    do {
      const from = after;
      const page = await this.#inSnapshot((snapshot) =>
        checkExperiences(this.#store, this.#scope, from, snapshot, this.#ended),
      );
      this.progress.experiences += page.experiences;
      this.progress.events += page.events;
      yield* this.#report.events(page.wrongEvents);
      for (const stray of page.strays) {
        const found = experienceIdText(stray.experience) ?? '';
        yield* this.#report.reservation(
          stray,
          { figure: 'experience_id', expected: '', found },
          'NOT_REPAIRABLE',
        );
      }
      yield* this.#mendExperiences(page.wrong);
      after = page.next;
    } while (after !== undefined);
  }

  /** All at once; if one of them has moved meanwhile, each by itself, as it is then. */
  async *#mendExperiences(
    wrong: readonly ExperienceFinding[],
  ): AsyncGenerator<BookDifference, void, undefined> {
    if (wrong.length === 0) return;
    // Marks without end do not go into one transaction; the totals that follow them are looked at anew.
    const marked = wrong.filter(({ flags }) => flags.length > FLAGS_AT_ONCE_MAX);
    if (this.#mender !== undefined) for (const { flags } of marked) yield* this.#mendFlags(flags);
    if (this.#mender === undefined || (marked.length === 0 && (await this.#mender.experiences(wrong)))) {
      for (const finding of wrong) yield* this.#reportExperience(finding, this.#mender !== undefined);
      return;
    }
    for (const finding of wrong) {
      let now: ExperienceFinding | undefined = finding;
      let mended = false;
      for (let attempt = 0; attempt < ATTEMPTS_MAX && now !== undefined && !mended; attempt += 1) {
        now = (await this.#again(finding)).wrong[0];
        if (now !== undefined) mended = await this.#mender.experiences([now]);
      }
      if (now !== undefined) yield* this.#reportExperience(now, mended);
    }
  }

  #again({ document }: ExperienceFinding): Promise<ExperiencesPage> {
    return this.#inSnapshot((snapshot) =>
      checkExperiencesAgain(this.#store, this.#scope, [document._id], snapshot, this.#ended),
    );
  }

  *#reportExperience(
    finding: ExperienceFinding,
    mended: boolean,
  ): Generator<BookDifference, void, undefined> {
    const { document, fields, flags } = finding;
    if (
      !mended &&
      fields.some(({ field }) => field === 'ct') &&
      this.#wrongTotals.length < WRONG_TOTALS_MAX
    ) {
      this.#wrongTotals.push(document._id);
    }
    yield* this.#reportFlags(flags, mended);
    const subject = { kind: 'EXPERIENCE', experienceId: experienceIdText(document._id.x) ?? '' } as const;
    yield* this.#report.fields(subject, fields, mended ? 'REPAIRED' : 'REPAIRABLE');
  }

  async *#checkRollups(): AsyncGenerator<BookDifference, void, undefined> {
    this.progress.phase = 'ROLLUPS';
    let from = this.#firstDay();
    for (;;) {
      const day = await this.#inSnapshot((snapshot) => nextDay(this.#store, this.#scope, from, snapshot));
      if (day === undefined) return;
      const ofHours: RollupFinding[] = [];
      for await (const hour of this.#hours(day, day + DAY_MS)) {
        const { wrong, mended } = yield* this.#mendRollups((snapshot) => this.#checkHour(hour, snapshot));
        if (!mended) ofHours.push(...wrong);
        this.progress.hours += 1;
      }
      yield* this.#mendRollups((snapshot) => checkDay(this.#store, this.#scope, day, ofHours, snapshot));
      this.progress.days += 1;
      from = day + DAY_MS;
    }
  }

  #wrongEventsOfHour: EventFindings | undefined;

  async #checkHour(hour: number, snapshot: Snapshot): Promise<readonly RollupFinding[]> {
    const page = await checkHour(this.#store, this.#scope, hour, this, snapshot);
    this.progress.events += page.events;
    this.#wrongEventsOfHour = page.wrongEvents;
    return page.wrong;
  }

  async *#mendRollups(
    check: (snapshot: Snapshot) => Promise<readonly RollupFinding[]>,
  ): AsyncGenerator<BookDifference, { wrong: readonly RollupFinding[]; mended: boolean }, undefined> {
    let wrong: readonly RollupFinding[] = [];
    let mended = false;
    for (let attempt = 0; attempt < ATTEMPTS_MAX && !mended; attempt += 1) {
      wrong = await this.#inSnapshot(check);
      if (this.#mender === undefined || wrong.length === 0) break;
      mended = await this.#mender.rollups(wrong);
    }
    if (this.#wrongEventsOfHour !== undefined) yield* this.#report.events(this.#wrongEventsOfHour);
    this.#wrongEventsOfHour = undefined;
    for (const { key, fields } of wrong) {
      const kind = key.g === 'h' ? 'HOUR_ROLLUP' : 'DAY_ROLLUP';
      const { t: type, v: version, p: provider, m: model, h: start } = key;
      yield* this.#report.fields(
        { kind, type, version, provider, model, start },
        fields,
        mended ? 'REPAIRED' : 'REPAIRABLE',
      );
    }
    return { wrong, mended };
  }

  async *#checkHistograms(): AsyncGenerator<BookDifference, void, undefined> {
    this.progress.phase = 'HISTOGRAMS';
    let place: HistogramKeyPart | undefined;
    for (;;) {
      const after = place;
      const next = await this.#inSnapshot((snapshot) => nextPlace(this.#store, this.#scope, after, snapshot));
      if (next === undefined) return;
      place = next;
      let finding: HistogramFinding | undefined;
      let mended = false;
      for (let attempt = 0; attempt < ATTEMPTS_MAX && !mended; attempt += 1) {
        finding = await this.#inSnapshot((snapshot) =>
          checkHistogram(this.#store, this.#scope, next, this.#wrongTotals, snapshot),
        );
        if (this.#mender === undefined || finding === undefined) break;
        mended = await this.#mender.histogram(finding);
      }
      this.progress.histograms += 1;
      if (finding === undefined) continue;
      const subject = { kind: 'HISTOGRAM', type: next.t, version: next.v } as const;
      yield* this.#report.fields(subject, finding.fields, mended ? 'REPAIRED' : 'REPAIRABLE');
    }
  }

  async *#checkLimits(): AsyncGenerator<BookDifference, void, undefined> {
    this.progress.phase = 'LIMITS';
    let after: LimitFinding['limit'] | undefined;
    do {
      const from = after;
      const page = await this.#inSnapshot((snapshot) =>
        checkLimits(this.#store, this.#scope, from, this.#ended, snapshot),
      );
      this.progress.limits += page.limits;
      this.progress.events += page.events;
      for (const { event, problem } of page.strayEvents)
        yield* this.#report.event(event, problem, 'NOT_REPAIRABLE');
      for (const { reservation, problem } of page.strayReservations)
        yield* this.#report.reservation(reservation, problem, 'NOT_REPAIRABLE');
      yield* this.#mendLimits(page.wrong);
      after = page.next;
    } while (after !== undefined);
  }

  /** As experiences: all at once, or each by itself as it is then. */
  async *#mendLimits(wrong: readonly LimitFinding[]): AsyncGenerator<BookDifference, void, undefined> {
    if (wrong.length === 0) return;
    const mender = this.#mender;
    const isDone = mender === undefined || (await mender.limits(wrong));
    for (const finding of wrong) {
      let now: LimitFinding | undefined = finding;
      let isMended = isDone && mender !== undefined;
      for (
        let attempt = 0;
        attempt < ATTEMPTS_MAX && !isDone && now !== undefined && !isMended;
        attempt += 1
      ) {
        const page = await this.#inSnapshot((snapshot) =>
          checkLimitAgain(this.#store, this.#scope, finding.limit, this.#ended, snapshot),
        );
        now = page.wrong.find(({ period }) => period === finding.period);
        if (now !== undefined) isMended = await mender.limits([now]);
      }
      if (now === undefined) continue;
      const limitId = experienceIdText(now.limit) ?? '';
      const subject = { kind: 'LIMIT', limitId, period: now.period } as const;
      yield* this.#report.fields(subject, now.fields, isMended ? 'REPAIRED' : 'REPAIRABLE');
    }
  }

  /** Starts of the hours that hold something. */
  async *#hours(fromMs: number, untilMs: number | undefined): AsyncGenerator<number, void, undefined> {
    let from = fromMs;
    while (untilMs === undefined || from < untilMs) {
      const start = from;
      const hour = await this.#inSnapshot((snapshot) =>
        nextHour(this.#store, this.#scope, start, untilMs, snapshot),
      );
      if (hour === undefined) return;
      yield hour;
      from = hour + HOUR_MS;
    }
  }

  #firstDay(): number {
    return startOfDay(this.#scope.since?.getTime() ?? TIME_MIN_MS);
  }

  *#reportFlags(flags: readonly FlagFinding[], mended: boolean): Generator<BookDifference, void, undefined> {
    for (const { event, useful } of flags) {
      if (!mended && this.#marks.size < REMEMBERED_MAX) this.#marks.set(event.id, useful);
      const problem =
        event.useful === useful
          ? { figure: 'operation_index', expected: useful ? 'present' : 'absent' }
          : { figure: 'useful', expected: String(useful) };
      const found =
        event.useful === useful ? (useful ? 'absent or another' : 'present') : String(event.useful);
      yield* this.#report.event(event, { ...problem, found }, mended ? 'REPAIRED' : 'REPAIRABLE');
    }
  }

  #inSnapshot<T>(body: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    return inLongSnapshot(this.#store, this.#signal, body);
  }
}

const ATTEMPTS_MAX = 20;
const WRONG_TOTALS_MAX = 1_000;
const REMEMBERED_MAX = 10_000;
const FLAGS_AT_ONCE_MAX = 1_000;
/** Before any time that an event or a rollup may have. */
const TIME_MIN_MS = Date.UTC(-9999, 0, 1);
