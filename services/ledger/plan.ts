import { ADOPTED_EVENTS_MAX, type Experience } from '../domain/experience.js';
import type { ExperienceType } from '../domain/experience-type.js';
import { Fault, invalidFields } from '../domain/fault.js';
import { addMoney, type Money, NO_MONEY } from '../domain/money.js';
import type { Units } from '../domain/units.js';
import type { Cost, RecordWarning, UsageEvent } from '../domain/usage.js';
import { supersedes } from '../domain/useful.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { Adoption } from './adoption.js';
import type { ApplicationState } from './application-state.js';
import type { Entry, EventEntry, ExperienceEntry, Outcome, RepricingEntry } from './entry.js';
import { factKey } from './fact-key.js';
import { type Facts, operationFactKey, type StoredEvent } from './facts.js';
import { newEvent, type Place } from './new-event.js';
import { newExperience } from './new-experience.js';
import { experienceNotFound, typeNotFound } from './not-found.js';
import { repriceEvent } from './reprice-event.js';
import { versionOf } from './version-of.js';

/**
 * Decides, without touching the store, what a batch of entries does: which events are new, to which experiences they go,
 * what they cost, which earlier events of their operations become wasted. It sees one snapshot of the store, and the
 * entries before an entry in the batch count as done.
 */
export function planBatch(entries: readonly Entry[], facts: Facts): Plan {
  const batch = new BatchPlan(facts);
  const outcomes = entries.map((entry) => {
    try {
      return batch.add(entry);
    } catch (error) {
      if (error instanceof Fault) return { kind: 'refused', fault: error } as const;
      throw error;
    }
  });
  return { outcomes, ...batch.writes() };
}

export interface Plan {
  readonly outcomes: readonly Outcome[];
  readonly newEvents: readonly NewEvent[];
  readonly newExperiences: readonly NewExperience[];
  /** Recorded events that are no longer useful, or have a price now. */
  readonly changes: readonly EventChange[];
  /** That no event of their application has used before. */
  readonly unitKinds: ReadonlyMap<string, ReadonlySet<string>>;
  /** What the changes by repricings add up to. */
  readonly repricings: readonly RepricingSum[];
  /** Untyped experiences that must take a type before this batch can be planned; then nothing else counts. */
  readonly adoptions: readonly Adoption[];
}

export interface NewEvent {
  readonly application: string;
  readonly event: UsageEvent;
  readonly contentHash: Uint8Array;
}

export interface EventChange {
  readonly application: string;
  readonly before: UsageEvent;
  readonly after: UsageEvent;
}

export interface RepricingSum {
  readonly application: string;
  readonly id: Uuid;
  events: bigint;
  input: Money;
  output: Money;
}

export interface NewExperience {
  readonly application: string;
  readonly experience: Experience;
}

class BatchPlan {
  readonly #facts: Facts;
  readonly #events = new Map<string, NewEvent>();
  readonly #experiences = new Map<string, NewExperience>();
  readonly #changes = new Map<string, EventChange>();
  readonly #repricings = new Map<string, RepricingSum>();
  /** Keys of the useful events of operations that this batch made. */
  readonly #useful = new Map<string, string>();
  readonly #adoptions = new Map<string, Adoption>();
  /** Unit kinds that this batch adds to experiences. */
  readonly #unitKinds = new Map<string, ReadonlySet<string>>();
  /** Unit kinds that this batch is the first of its application to use. */
  readonly #applicationKinds = new Map<string, ReadonlySet<string>>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  writes(): Omit<Plan, 'outcomes'> {
    return {
      newEvents: [...this.#events.values()],
      newExperiences: [...this.#experiences.values()],
      changes: [...this.#changes.values()],
      repricings: [...this.#repricings.values()],
      adoptions: [...this.#adoptions.values()],
      unitKinds: this.#applicationKinds,
    };
  }

  add(entry: Entry): Outcome {
    switch (entry.kind) {
      case 'event':
        return this.#addEvent(entry);
      case 'experience':
        return this.#addExperience(entry);
      case 'repricing':
        return this.#reprice(entry);
      default:
        return entry satisfies never;
    }
  }

  #addEvent(entry: EventEntry): Outcome {
    const key = factKey(entry.application, entry.eventId);
    const known = this.#known(key);
    if (known !== undefined) return repeated(entry, known);

    const place = this.#place(entry);
    const event = newEvent(entry, place, this.#state(entry.application).prices);
    this.#addUnitKinds(entry.application, place?.experience, event.units);
    this.#demoteEarlier(entry.application, event);
    this.#events.set(key, { application: entry.application, event, contentHash: entry.contentHash });
    if (place?.created === true) this.#create(entry.application, place.experience);
    if (place?.adoption !== undefined) this.#adopt(place.adoption);
    return { kind: 'event', event, duplicate: false };
  }

  #addExperience(entry: ExperienceEntry): Outcome {
    const type = this.#type(entry.application, entry.type);
    const version = versionOf(type, entry.version);
    const id = entry.experienceId === undefined ? undefined : parseUuid(entry.experienceId);
    const existing = id === undefined ? undefined : this.#experience(entry.application, id);
    if (existing !== undefined) {
      if (existing.deleteTime !== undefined) throw experienceNotFound(existing.id);
      if (existing.type === '' && existing.totals.eventCount <= BigInt(ADOPTED_EVENTS_MAX)) {
        this.#adopt({ application: entry.application, experienceId: existing.id, type: type.name, version });
      } else if (
        existing.type !== type.name ||
        (entry.version !== undefined && existing.version !== version)
      ) {
        throw new Fault(
          'EXPERIENCE_ALREADY_EXISTS',
          `The experience '${existing.id}' exists with another type or version.`,
          {
            metadata: { experience_id: existing.id },
          },
        );
      }
      const experience = { ...existing, type: type.name, version: existing.version || version };
      return { kind: 'experience', experience, alreadyExisted: true, idReplaced: false };
    }
    const experience = newExperience(id ?? entry.spareExperienceId, entry.createTime, type.name, version, {
      userId: entry.userId,
      properties: entry.properties,
    });
    this.#create(entry.application, experience);
    return {
      kind: 'experience',
      experience,
      alreadyExisted: false,
      idReplaced: entry.experienceId !== undefined && id === undefined,
    };
  }

  /** The experience that an event goes to, by the table of ids; undefined: the event is unattributed. */
  #place(entry: EventEntry): Place | undefined {
    const { experienceId, experienceType, experienceVersion, userId } = entry.record.attribution;
    const type = experienceType === undefined ? undefined : this.#type(entry.application, experienceType);
    const version = type === undefined ? 0 : versionOf(type, experienceVersion);
    if (experienceId === undefined && type === undefined) return undefined;

    const id = experienceId === undefined ? undefined : parseUuid(experienceId);
    const replaced = experienceId !== undefined && id === undefined;
    const existing = id === undefined ? undefined : this.#experience(entry.application, id);
    if (existing === undefined) {
      const experience = newExperience(
        id ?? entry.spareExperienceId,
        entry.recordTime,
        type?.name ?? '',
        version,
        { userId },
      );
      const warnings = replaced ? (['EXPERIENCE_ID_REPLACED'] as const) : [];
      return { experience, created: true, replaced, warnings, adoption: undefined };
    }
    if (existing.deleteTime !== undefined) throw experienceNotFound(existing.id);
    if (existing.type !== '') this.#type(entry.application, existing.type); // A deleted type takes no more events.
    const warnings: RecordWarning[] = [];
    let adoption: Adoption | undefined;
    if (existing.type === '') {
      if (type !== undefined && existing.totals.eventCount > BigInt(ADOPTED_EVENTS_MAX))
        warnings.push('EXPERIENCE_STAYS_UNTYPED');
      else if (type !== undefined)
        adoption = { application: entry.application, experienceId: existing.id, type: type.name, version };
    } else if (type !== undefined && existing.type !== type.name) {
      warnings.push('OTHER_EXPERIENCE_TYPE');
    } else if (experienceVersion !== undefined && existing.version !== experienceVersion) {
      warnings.push('OTHER_EXPERIENCE_VERSION');
    }
    const experience =
      adoption === undefined ? existing : { ...existing, type: adoption.type, version: adoption.version };
    return { experience, created: false, replaced, warnings, adoption };
  }

  /**
   * Totals by kind live in one document, and a rollup may hold all the kinds of an application, so callers cannot be let
   * to make up kinds without end. A refused event leaves nothing behind.
   */
  #addUnitKinds(application: string, experience: Experience | undefined, units: Units): void {
    const known = this.#facts.unitKinds.get(application) ?? NO_KINDS;
    const ofApplication = withKinds(units, known, this.#applicationKinds.get(application), {
      max: APPLICATION_UNIT_KINDS_MAX,
      problem: `names kinds that the application has not used; it may use ${APPLICATION_UNIT_KINDS_MAX}`,
    });
    if (experience !== undefined) {
      const key = factKey(application, experience.id);
      const ofExperience = withKinds(units, experience.totals.units, this.#unitKinds.get(key), {
        max: EXPERIENCE_UNIT_KINDS_MAX,
        problem: `names kinds that the experience has not; it may have ${EXPERIENCE_UNIT_KINDS_MAX}`,
      });
      if (ofExperience !== undefined) this.#unitKinds.set(key, ofExperience);
    }
    if (ofApplication !== undefined) this.#applicationKinds.set(application, ofApplication);
  }

  #demoteEarlier(application: string, event: UsageEvent): void {
    if (!supersedes(event.outcome, event.operationKey)) return;
    const operation = operationFactKey(application, event);
    const ownKey = this.#useful.get(operation);
    const own = ownKey === undefined ? undefined : this.#events.get(ownKey);
    const stored = this.#facts.useful.get(operation);
    if (ownKey !== undefined && own !== undefined) {
      this.#events.set(ownKey, { ...own, event: { ...own.event, useful: false } });
    } else if (stored !== undefined) {
      this.#change(application, stored, (now) => ({ ...now, useful: false }));
    }
    this.#useful.set(operation, factKey(application, event.eventId));
  }

  #reprice({ application, eventId, repricingId, time }: RepricingEntry): Outcome {
    const known = this.#known(factKey(application, eventId))?.event;
    if (known === undefined) throw new Error('only recorded events are repriced');
    const repriced = repriceEvent(known, this.#state(application).prices, { id: repricingId, time });
    if (repriced === undefined) return { kind: 'repricing', priced: known.unpriced.length === 0 };
    this.#change(application, known, () => repriced.event);
    const isFirst = !known.repricings.some(({ id }) => id === repricingId);
    this.#countRepricing(application, repricingId, repriced.cost, isFirst ? 1n : 0n);
    return { kind: 'repricing', priced: repriced.event.unpriced.length === 0 };
  }

  #countRepricing(application: string, id: Uuid, cost: Cost, events: bigint): void {
    const key = factKey(application, id);
    const sum = this.#repricings.get(key) ?? {
      application,
      id,
      events: 0n,
      input: NO_MONEY,
      output: NO_MONEY,
    };
    this.#repricings.set(key, sum);
    sum.events += events;
    sum.input = addMoney(sum.input, cost.input);
    sum.output = addMoney(sum.output, cost.output);
  }

  /** The change of a recorded event, on top of what the entries before have made of it. */
  #change(application: string, stored: UsageEvent, to: (now: UsageEvent) => UsageEvent): void {
    const key = factKey(application, stored.eventId);
    const before = this.#changes.get(key)?.before ?? stored;
    const after = to(this.#changes.get(key)?.after ?? stored);
    this.#changes.set(key, { application, before, after });
  }

  #create(application: string, experience: Experience): void {
    this.#experiences.set(factKey(application, experience.id), { application, experience });
  }

  /**
   * An experience that this very batch makes takes the type here, with its events so far. Any other takes it in a
   * transaction of its own, after which the batch is planned anew.
   */
  #adopt(adoption: Adoption): void {
    const { application, experienceId, type, version } = adoption;
    const key = factKey(application, experienceId);
    const made = this.#experiences.get(key);
    if (made === undefined) {
      if (!this.#adoptions.has(key)) this.#adoptions.set(key, adoption);
      return;
    }
    this.#experiences.set(key, { application, experience: { ...made.experience, type, version } });
    for (const [eventKey, { event, ...rest }] of this.#events) {
      if (rest.application !== application || event.experienceId !== experienceId) continue;
      const typed = { ...event, experienceType: type, experienceVersion: version };
      this.#events.set(eventKey, { ...rest, event: typed });
    }
  }

  /** An event that is recorded, as it stands after the entries before. */
  #known(key: string): StoredEvent | undefined {
    const stored = this.#facts.events.get(key);
    if (stored === undefined) return this.#events.get(key);
    return { ...stored, event: this.#changes.get(key)?.after ?? stored.event };
  }

  #experience(application: string, id: Uuid): Experience | undefined {
    const key = factKey(application, id);
    return this.#facts.experiences.get(key) ?? this.#experiences.get(key)?.experience;
  }

  #type(application: string, name: string): ExperienceType {
    const type = this.#state(application).types.get(name);
    if (type === undefined || type.deleteTime !== undefined) throw typeNotFound(name);
    return type;
  }

  #state(application: string): ApplicationState {
    const state = this.#facts.states.get(application);
    if (state === undefined) throw new Error('the states of all applications in a batch are loaded');
    return state;
  }
}

/** The same id again: the event as it stands now, or a conflict if the content is another. */
function repeated(entry: EventEntry, known: StoredEvent): Outcome {
  if (!Buffer.from(known.contentHash).equals(entry.contentHash)) {
    throw new Fault('EVENT_ID_CONFLICT', `The event '${entry.eventId}' was recorded with other content.`, {
      metadata: { event_id: entry.eventId },
    });
  }
  return { kind: 'event', event: known.event, duplicate: true };
}

/** What was added so far with those of the units that are not known; undefined: the units add none. */
function withKinds(
  units: Units,
  known: { readonly size: number; has(kind: string): boolean },
  added: ReadonlySet<string> | undefined,
  bound: { readonly max: number; readonly problem: string },
): ReadonlySet<string> | undefined {
  const fresh = [...units.keys()].filter((kind) => !known.has(kind));
  if (fresh.length === 0) return undefined;
  const all = new Set([...(added ?? []), ...fresh]);
  if (known.size + all.size <= bound.max) return all;
  throw invalidFields([{ field: 'record.units', description: bound.problem }]);
}

const NO_KINDS: ReadonlySet<string> = new Set();
const EXPERIENCE_UNIT_KINDS_MAX = 256;
const APPLICATION_UNIT_KINDS_MAX = 1_024;
