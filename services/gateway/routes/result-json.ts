import type {
  Cost,
  LimitStatus,
  RecordedUsage,
  Units,
  UnpricedUnits,
  UsageEvent,
} from '../../client/index.js';
import { overrunOf } from '../../domain/overrun.js';
import { exactNumber } from '../json-text.js';

/** What `xproxy_result` can say of a call. What is absent is left out of it. */
export interface CallResult {
  readonly requestId: string;
  readonly requestTags?: readonly string[];
  /** How the limits stand that apply to it, in any spelling of the states. */
  readonly limits?: readonly { readonly limitId: string; readonly state: string }[];
  readonly experienceId?: string;
  readonly step?: string;
  /** The version of the resource, which is our price. */
  readonly priceId?: string;
  readonly userId?: string;
  /** Only of a refused call. */
  readonly blockedLimitIds?: readonly string[];
  /** Of the units that have a price; absent: none of them has. */
  readonly cost?: Cost;
  /** How much of it is beyond the maximum of a limit. */
  readonly overrunCost?: string;
  readonly unpricedUnits?: readonly UnpricedUnits[];
  readonly warnings?: readonly string[];
  /** Whether the same call was recorded before. */
  readonly duplicate?: boolean;
  /** Whether the ledger does not have it yet. */
  readonly queued?: boolean;
}

/** `xproxy_result` for `jsonText`: costs as number literals with all their digits; empty members are left out. */
export function resultJson(call: CallResult): object {
  const { limits = [], unpricedUnits = [], requestTags = [], blockedLimitIds = [], warnings = [] } = call;
  return {
    request_id: call.requestId,
    request_tags: requestTags.length === 0 ? undefined : requestTags,
    limits:
      limits.length === 0
        ? undefined
        : Object.fromEntries(limits.map(({ limitId, state }) => [limitId, { state: state.toLowerCase() }])),
    experience_id: call.experienceId,
    // The later name of the same.
    use_case_id: call.experienceId,
    use_case_step: call.step,
    resource_id: call.priceId,
    user_id: call.userId,
    blocked_limit_ids: blockedLimitIds.length === 0 ? undefined : blockedLimitIds,
    cost: call.cost === undefined ? undefined : costJson(call.cost, call.overrunCost),
    unknown_units:
      unpricedUnits.length === 0
        ? undefined
        : Object.fromEntries(unpricedUnits.map(({ kind, ...units }) => [kind, countsJson(units)])),
    duplicate_request: call.duplicate === true ? true : undefined,
    warnings: warnings.length === 0 ? undefined : warnings,
    queued: call.queued === true ? true : undefined,
  };
}

/** What a recorded event says of its call. */
export function callResultOf({
  event,
  limits,
  warnings,
  duplicate,
}: Pick<RecordedUsage, 'event' | 'warnings'> & {
  readonly limits: readonly LimitStatus[];
  readonly duplicate?: boolean;
}): CallResult {
  const { experienceId, priceId, userId, step } = event;
  const cost = knownCost(event);
  return {
    requestId: event.eventId,
    requestTags: event.requestTags,
    limits: limits.map(({ limitId, state }) => ({ limitId, state: isFailed(event) ? 'FAILED' : state })),
    ...(experienceId === undefined ? {} : { experienceId }),
    ...(step === undefined ? {} : { step }),
    ...(priceId === undefined ? {} : { priceId }),
    ...(userId === undefined ? {} : { userId }),
    ...(cost === undefined ? {} : { cost }),
    // Later the limits have moved on: what of them was this call's cannot be told any more.
    ...(duplicate === false ? { overrunCost: overrunOf(event.cost.total, limits) } : {}),
    unpricedUnits: event.unpricedUnits,
    warnings: warningTexts(warnings, event.unpricedUnits),
    ...(duplicate === undefined ? {} : { duplicate }),
  };
}

/**
 * The cost of a call of which some units have a price; undefined: none has, or it used none. What it cost is then not known,
 * which is not the same as nothing.
 */
export function knownCost({ cost, units, unpricedUnits }: Priced): Cost | undefined {
  if (cost.total !== '0') return cost;
  const unpriced = new Map(unpricedUnits.map(({ kind, input, output }) => [kind, input + output]));
  const isPriced = Object.entries(units).some(
    ([kind, { input, output }]) => input + output > (unpriced.get(kind) ?? 0n),
  );
  return isPriced ? cost : undefined;
}

interface Priced {
  readonly cost: Cost;
  readonly units: Units;
  readonly unpricedUnits: readonly UnpricedUnits[];
}

/** A failed call that cost nothing moved no limit. */
function isFailed({ outcome, cost }: UsageEvent): boolean {
  return outcome !== 'SUCCEEDED' && cost.total === '0';
}

/** The warnings for people; that units have no price is said with the reason. */
export function warningTexts(
  warnings: RecordedUsage['warnings'],
  unpricedUnits: readonly UnpricedUnits[],
): readonly string[] {
  const unpriced = unpricedUnits.map(({ kind, reason }) => `${kind}: ${REASON_TEXTS.get(reason) ?? reason}`);
  return warnings.map(({ code, message }) =>
    code === 'UNITS_UNPRICED' && unpriced.length > 0 ? `${message} (${unpriced.join('; ')})` : message,
  );
}

function costJson({ input, output, total }: Cost, overrun = '0'): object {
  const base = (amount: string) => ({ base: exactNumber(amount) });
  const beyond = overrun === '0' ? {} : { overrun_base: exactNumber(overrun) };
  return { currency: 'usd', input: base(input), output: base(output), total: { ...base(total), ...beyond } };
}

function countsJson({ input, output }: { readonly input: bigint; readonly output: bigint }): object {
  return { input: exactNumber(String(input)), output: exactNumber(String(output)) };
}

const REASON_TEXTS: ReadonlyMap<string, string> = new Map([
  ['PROVIDER_UNKNOWN', 'no price names the category'],
  ['MODEL_UNKNOWN', 'the category has no such resource'],
  ['NO_PRICE_AT_TIME', 'the resource had no price at the time of the event'],
  ['UNIT_KIND_NOT_PRICED', 'the price of the resource does not name this unit'],
]);
