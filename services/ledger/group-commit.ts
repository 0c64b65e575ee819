import { Fault } from '../domain/fault.js';
import { parseUuid } from '../domain/uuid.js';
import type { Entry } from './entry.js';
import { entryBytes } from './entry-bytes.js';
import { Lane } from './lane.js';
import type { LaneLeases } from './lane-leases.js';
import { LanePlaces } from './lane-places.js';
import type { LimitTypes } from './limit-types.js';
import { WriteCall, type WriteOutcome } from './write-call.js';
import type { Writer } from './writer.js';

/**
 * Gathers the entries of all calls of this process and commits them together, lane by lane. Entries that name an
 * experience go to one lane while any of them is under way, so that commits of one process seldom fight over it. They still
 * may: a release goes by its event's id, for its experience is not known yet, and calls that name a limit which may block go
 * to the first lane. Then one of the two transactions is run again.
 */
export class GroupCommit {
  readonly #lanes: readonly Lane[];
  readonly #places: LanePlaces;
  readonly #waitingMax: number;
  readonly #limitTypes: LimitTypes;
  #bytes = 0;
  #sweptUptimeMs = Number.NEGATIVE_INFINITY;

  constructor(writer: Writer, leases: LaneLeases, options: { readonly entriesWaitingMax: number }) {
    this.#waitingMax = options.entriesWaitingMax;
    this.#limitTypes = writer.limitTypes;
    this.#lanes = Array.from(
      { length: leases.count },
      (_, index) => new Lane((take, deadline) => writer.writeTaken(take, deadline, leases.number(index))),
    );
    this.#places = new LanePlaces(this.#lanes);
  }

  /**
   * Answers an outcome for each entry, in their order, once all are durable or refused. Throws a fault OVERLOADED, at once
   * and for all of them, when there is no room.
   */
  async write(entries: readonly Entry[], deadline: number): Promise<readonly WriteOutcome[]> {
    const bytes = entries.map(entryBytes);
    const total = bytes.reduce((sum, size) => sum + size, 0);
    this.checkRoom(entries.length, total);
    this.#bytes += total;
    const keys = entries.map(laneKey);
    const call = new WriteCall(entries.length, deadline, (index) => this.#places.leave(keys[index] ?? ''));
    const together = this.#places.together(entries.length);
    for (const [index, entry] of entries.entries()) {
      const mayBlock = this.#mayBlock(entry);
      const place = this.#places.enter(keys[index] ?? '', mayBlock ? 0 : together);
      this.#lane(mayBlock ? 0 : place).add({ call, index, entry, bytes: bytes[index] ?? 0 });
    }
    for (const lane of this.#lanes) lane.start();
    try {
      return await call.done;
    } finally {
      this.#bytes -= total;
    }
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }

  /** Throws a fault OVERLOADED when there is no room for so much. */
  checkRoom(entries: number, bytes: number): void {
    if (this.#hasRoom(entries, bytes)) return;
    const uptimeMs = performance.now(); // Does not step back.
    if (uptimeMs - this.#sweptUptimeMs > SWEEP_EVERY_MS) {
      this.#sweptUptimeMs = uptimeMs;
      for (const lane of this.#lanes) lane.dropExpired(Date.now());
      if (this.#hasRoom(entries, bytes)) return;
    }
    throw new Fault('OVERLOADED', 'This process has as many writes waiting as it may.', {
      retryAfterMs: RETRY_AFTER_MS,
    });
  }

  /** A call larger than all the room there is comes in when it is empty; else it never would. */
  #hasRoom(entries: number, bytes: number): boolean {
    const waiting = this.#lanes.reduce((sum, lane) => sum + lane.waiting, 0);
    if (waiting === 0) return true;
    return waiting + entries <= this.#waitingMax && this.#bytes + bytes <= WAITING_BYTES_MAX;
  }

  #lane(index: number): Lane {
    const lane = this.#lanes[index];
    if (lane === undefined) throw new Error('there is at least one lane');
    return lane;
  }

  /** What names limits of which one may block goes to one lane: all of those meet in that limit, whatever their experiences. */
  #mayBlock(entry: Entry): boolean {
    if (entry.kind !== 'event' && entry.kind !== 'reservation') return false;
    const { limitIds } = entry.kind === 'event' ? entry.record.attribution : entry.reservation.attribution;
    return limitIds.length > 0 && !this.#limitTypes.onlyAllow(entry.application, limitIds);
  }
}

/** What two lanes had better not write at once: an experience; else an operation; else the event itself. */
function laneKey(entry: Entry): string {
  switch (entry.kind) {
    case 'event':
    case 'reservation': {
      const call = entry.kind === 'event' ? entry.record : entry.reservation;
      const { experienceId, experienceType } = call.attribution;
      if (experienceId !== undefined) return parseUuid(experienceId) ?? entry.spareExperienceId;
      if (experienceType !== undefined) return entry.spareExperienceId;
      return call.operationKey ?? (entry.kind === 'event' ? entry.eventId : entry.reservation.eventId);
    }
    case 'experience':
      return (
        (entry.experienceId === undefined ? undefined : parseUuid(entry.experienceId)) ??
        entry.spareExperienceId
      );
    case 'release':
      return entry.eventId;
    case 'sweep':
    case 'repricing':
      return entry.experienceId ?? entry.eventId;
    default:
      return entry satisfies never;
  }
}

const RETRY_AFTER_MS = 500;
const WAITING_BYTES_MAX = 32_000_000;
/** To look through a full queue costs more than to refuse a call. */
const SWEEP_EVERY_MS = 100;
