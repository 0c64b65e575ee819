import type { ExperiencesError, Reserved, UsageAck } from '../../client/index.js';
import { overrunOf } from '../../domain/overrun.js';
import { type CallResult, resultJson, warningTexts } from '../routes/result-json.js';
import { type CallAttribution, scopeWarning } from './attribution-headers.js';
import type { Settled } from './call-books.js';

/** The call that a result tells of. */
export interface ToldCall {
  readonly requestId: string;
  readonly attribution: CallAttribution;
  readonly reserved: Reserved | undefined;
}

/** `xproxy_result` of a call that was made. `isFailed`: its provider refused it, or says that it failed. */
export function callResult(call: ToldCall, settled: Settled, isFailed: boolean): object {
  const ack = settled.kind === 'recorded' ? settled.ack : undefined;
  return told(call, {
    ...(ack === undefined ? {} : recorded(ack, isFailed)),
    warnings: [
      ...warningTexts(warningsOf(call.reserved, ack), ack?.unpricedUnits ?? []),
      ...(settled.kind === 'unrecorded' ? [UNRECORDED] : []),
      ...('isEstimated' in settled && settled.isEstimated ? [ESTIMATED] : []),
      ...[scopeWarning(call.attribution) ?? []].flat(),
    ],
    queued: settled.kind === 'queued',
  });
}

/** `xproxy_result` of a call that a limit refused, by what the service says of it. */
export function blockedResult(call: ToldCall, { metadata }: ExperiencesError): object {
  const limits = listOf(metadata.limit_states).map((item) => {
    const [limitId = '', state = ''] = item.split('=', 2);
    return { limitId, state };
  });
  return told(call, { limits, blockedLimitIds: listOf(metadata.blocked_limit_ids) });
}

function recorded(ack: UsageAck, isFailed: boolean): Partial<CallResult> {
  const isFree = ack.cost.total === '0';
  // A failed call that cost nothing has moved no limit.
  const hasMoved = !isFailed || !isFree;
  // Of one without a price nothing is said, which is not the same as nothing.
  const isKnown = hasMoved && !(isFree && ack.unpricedUnits.length > 0);
  return {
    limits: ack.limits.map(({ limitId, state }) => ({ limitId, state: hasMoved ? state : 'FAILED' })),
    ...(ack.priceId === undefined ? {} : { priceId: ack.priceId }),
    ...(isKnown ? { cost: ack.cost } : {}),
    ...(ack.duplicate ? {} : { overrunCost: overrunOf(ack.cost.total, ack.limits) }),
    unpricedUnits: ack.unpricedUnits,
  };
}

function told({ requestId, attribution, reserved }: ToldCall, facts: Partial<CallResult>): object {
  const experienceId = reserved?.reservation.experienceId;
  const { requestTags, userId, accountName, step } = attribution;
  const result = resultJson({
    requestId,
    requestTags,
    ...(experienceId === undefined ? {} : { experienceId }),
    ...(userId === undefined ? {} : { userId }),
    ...(step === undefined ? {} : { step }),
    ...facts,
  });
  return { ...result, account_name: accountName };
}

/** What was said of the reservation is as true of the call, but for the prices of its estimate. */
function warningsOf(reserved: Reserved | undefined, ack: UsageAck | undefined): UsageAck['warnings'] {
  const ofReservation = (reserved?.warnings ?? []).filter(({ code }) => code !== 'UNITS_UNPRICED');
  const all = [...ofReservation, ...(ack?.warnings ?? [])];
  return [...new Map(all.map((warning) => [warning.code, warning])).values()];
}

const ESTIMATED = 'The provider did not tell all that the call used; it was estimated.';
const UNRECORDED = 'The call could not be recorded; until it is, its reservation stands for it.';

function listOf(text: string | undefined): readonly string[] {
  return text === undefined || text === '' ? [] : text.split(',');
}
