import type { Experience } from '../domain/experience.js';
import { NO_MONEY } from '../domain/money.js';
import type { Uuid } from '../domain/uuid.js';

/** An experience without events. */
export function newExperience(
  id: Uuid,
  createTime: Date,
  type: string,
  version: number,
  given: {
    readonly userId: string | undefined;
    readonly properties?: Experience['properties'];
    readonly limitType?: Experience['limitType'];
  },
): Experience {
  return {
    id,
    type,
    version,
    userId: given.userId,
    properties: given.properties ?? new Map(),
    totals: NO_TOTALS,
    createTime,
    deleteTime: undefined,
    run: undefined,
    limitType: given.limitType,
  };
}

const NO_TOTALS: Experience['totals'] = {
  eventCount: 0n,
  cost: { input: NO_MONEY, output: NO_MONEY, total: NO_MONEY },
  useful: NO_MONEY,
  wasted: NO_MONEY,
  unpricedEventCount: 0n,
  units: new Map(),
  firstEventTime: undefined,
  lastEventTime: undefined,
  held: NO_MONEY,
  openReservationCount: 0n,
  unsettled: NO_MONEY,
  unsettledEventCount: 0n,
};
