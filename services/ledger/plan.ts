import { ADOPTED_EVENTS_MAX } from '../domain/experience.js';
import { Fault } from '../domain/fault.js';
import type { Limit, LimitConfig } from '../domain/limit.js';
import { addMoney, formatMoney, NO_MONEY } from '../domain/money.js';
import { isTombstone } from '../domain/reservation.js';
import type { Cost } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { Entry, EventEntry, EventOutcome, ExperienceEntry, Outcome, RepricingEntry } from './entry.js';
import { factKey } from './fact-key.js';
import type { Facts, StoredEvent, StoredReservation } from './facts.js';
import { chargesOf } from './limit-book.js';
import { newOwnLimit } from './limit-document.js';
import { newEvent, WITHOUT_RESERVATION } from './new-event.js';
import { newExperience } from './new-experience.js';
import { experienceNotFound } from './not-found.js';
import { placeOf } from './place-of.js';
import {
  conflict,
  isSame,
  planLateSettlement,
  planRelease,
  planReservation,
  planSettlement,
  planSweep,
} from './plan-reservations.js';
import { type Plan, PlannedBatch, type RepricingSum } from './planned-batch.js';
import { repriceEvent } from './reprice-event.js';
import { versionOf } from './version-of.js';

/**
 * Decides, without touching the store, what a batch of entries does: which events are new, to which experiences they go,
 * what they cost, which earlier events of their operations become wasted, what limits hold and refuse. It sees one snapshot
 * of the store, and the entries before an entry in the batch count as done.
 */
export function planBatch(entries: readonly Entry[], facts: Facts): Plan {
  const planner = new Planner(facts);
  const outcomes = entries.map((entry) => {
    try {
      return planner.add(entry);
    } catch (error) {
      if (error instanceof Fault) return { kind: 'refused', fault: error } as const;
      throw error;
    }
  });
  return { outcomes, ...planner.writes() };
}

class Planner {
  readonly #batch: PlannedBatch;
  readonly #repricings = new Map<string, RepricingSum>();

  constructor(facts: Facts) {
    this.#batch = new PlannedBatch(facts);
  }

  writes(): Omit<Plan, 'outcomes'> {
    return { ...this.#batch.writes(), repricings: [...this.#repricings.values()] };
  }

  add(entry: Entry): Outcome {
    switch (entry.kind) {
      case 'event':
        return this.#addEvent(entry);
      case 'experience':
        return this.#addExperience(entry);
      case 'repricing':
        return this.#reprice(entry);
      case 'reservation':
        return planReservation(this.#batch, entry);
      case 'release':
        return planRelease(this.#batch, entry);
      case 'sweep':
        return planSweep(this.#batch, entry);
      default:
        return entry satisfies never;
    }
  }

  #addEvent(entry: EventEntry): Outcome {
    const { application, eventId } = entry;
    const batch = this.#batch;
    const known = batch.event(application, eventId);
    const reservation = batch.reservation(application, eventId);
    if (known !== undefined) {
      const { settlement } = known.event;
      if (settlement === 'UNSETTLED' || settlement === 'RELEASED')
        return planLateSettlement(batch, entry, known, reservation);
      return this.#repeated(entry, known, reservation);
    }
    if (reservation !== undefined && !isTombstone(reservation.reservation))
      return planSettlement(batch, entry, reservation);

    const { attribution } = entry.record;
    const place = placeOf(batch, {
      application,
      attribution,
      time: entry.recordTime,
      spareExperienceId: entry.spareExperienceId,
    });
    const limits = batch.limits.applicable(application, attribution.limitIds, place, 'made');
    if (entry.refusesBlockingLimits) assertNoneBlocks(limits, attribution.limitIds);
    const settled =
      limits.length === 0 ? WITHOUT_RESERVATION : { ...WITHOUT_RESERVATION, charges: chargesOf(limits) };
    const event = newEvent(entry, place, batch.state(application).prices, settled);
    batch.unitKinds.add(application, place?.experience, event.units, 'record.units');
    batch.insertEvent(application, event, entry.contentHash);
    batch.settleIn(application, place);
    return {
      kind: 'event',
      event,
      duplicate: false,
      limits: batch.limits.standings(application, event.charges),
    };
  }

  /** The same id again: the event as it stands now, or a conflict if the content is another. */
  #repeated(
    { application, eventId, contentHash }: EventEntry,
    known: StoredEvent,
    reservation: StoredReservation | undefined,
  ): EventOutcome {
    if (!isSame(known.contentHash, contentHash)) throw conflict(eventId, 'recorded');
    // It was recorded while it was being reserved, each without the other: the hold is needless.
    if (reservation?.reservation.state === 'OPEN')
      this.#batch.closeReservation(application, reservation, 'SETTLED');
    const limits = this.#batch.limits.standings(application, known.event.charges);
    return { kind: 'event', event: known.event, duplicate: true, limits };
  }

  #addExperience(entry: ExperienceEntry): Outcome {
    const { application, createTime } = entry;
    const batch = this.#batch;
    const type = batch.type(application, entry.type);
    const version = versionOf(type, entry.version);
    const id = entry.experienceId === undefined ? undefined : parseUuid(entry.experienceId);
    const existing = id === undefined ? undefined : batch.experience(application, id);
    if (existing !== undefined) {
      if (existing.deleteTime !== undefined) throw experienceNotFound(existing.id);
      if (entry.limitConfig !== undefined)
        assertOwnsLimit(existing.id, batch.limits.ownedBy(application, existing), entry.limitConfig);
      if (existing.type === '' && existing.totals.eventCount <= BigInt(ADOPTED_EVENTS_MAX)) {
        const adoption = { application, experienceId: existing.id, type: type.name, version };
        batch.settleIn(application, {
          experience: existing,
          created: false,
          replaced: false,
          warnings: [],
          adoption,
          ownLimit: undefined,
        });
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
    const config = entry.limitConfig ?? type.limitConfig;
    const newId = id ?? entry.spareExperienceId;
    const experience = newExperience(newId, createTime, type.name, version, {
      userId: entry.userId,
      properties: entry.properties,
      limitType: config?.type,
    });
    batch.settleIn(application, {
      experience,
      created: true,
      replaced: false,
      warnings: [],
      adoption: undefined,
      ownLimit: config === undefined ? undefined : newOwnLimit(newId, type.name, config, createTime),
    });
    return {
      kind: 'experience',
      experience,
      alreadyExisted: false,
      idReplaced: entry.experienceId !== undefined && id === undefined,
    };
  }

  #reprice({ application, eventId, repricingId, time }: RepricingEntry): Outcome {
    const known = this.#batch.event(application, eventId)?.event;
    if (known === undefined) throw new Error('only recorded events are repriced');
    const prices = this.#batch.state(application).prices;
    const repriced = repriceEvent(known, prices, { id: repricingId, time });
    if (repriced === undefined) return { kind: 'repricing', priced: known.unpriced.length === 0 };
    this.#batch.changeEvent(application, repriced.event);
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
}

/** Those that the record names; an experience's own limit is not the caller's choice. */
function assertNoneBlocks(limits: readonly Limit[], named: readonly Uuid[]): void {
  const blocking = limits.find(({ id, type }) => type === 'BLOCK' && named.includes(id));
  if (blocking === undefined) return;
  throw new Fault(
    'BLOCKING_LIMIT_NOT_ALLOWED',
    `The limit '${blocking.id}' blocks: a call that is only reported cannot be refused by it any more.`,
    { metadata: { limit_id: blocking.id } },
  );
}

/**
 * Nobody may take an experience for limited as they asked when it is not. One that exists is given no limit: what it has
 * spent and holds was never charged to it.
 */
function assertOwnsLimit(id: Uuid, own: Limit | undefined, wanted: LimitConfig): void {
  if (own === undefined) {
    throw new Fault('EXPERIENCE_HAS_NO_BUDGET', `The experience '${id}' exists and owns no limit.`, {
      metadata: { experience_id: id },
    });
  }
  if (own.type === wanted.type && own.maxCost === wanted.maxCost) return;
  const [ownMax, wantedMax] = [formatMoney(own.maxCost), formatMoney(wanted.maxCost)];
  throw new Fault(
    'EXPERIENCE_ALREADY_EXISTS',
    `The experience '${id}' exists with a limit of ${ownMax} (${own.type}) instead of ${wantedMax} (${wanted.type}).`,
    { metadata: { experience_id: id, limit_id: own.id, max_cost: ownMax } },
  );
}
