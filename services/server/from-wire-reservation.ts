import type { UsageEstimate__Output } from '../contract/generated/experiences/v1/UsageEstimate.js';
import type { UsageReservation__Output } from '../contract/generated/experiences/v1/UsageReservation.js';
import type { Duration__Output } from '../contract/generated/google/protobuf/Duration.js';
import { NO_MONEY, parseMoney } from '../domain/money.js';
import {
  RESERVATION_TTL_DEFAULT_MS,
  RESERVATION_TTL_MAX_MS,
  RESERVATION_TTL_MIN_MS,
  type UsageEstimate,
  type UsageReservation,
} from '../domain/reservation.js';
import {
  eventIdRule,
  MODEL_LENGTH_MAX,
  OPERATION_KEY_LENGTH_MAX,
  PROVIDER_LENGTH_MAX,
  STEP_LENGTH_MAX,
  shortTextRule,
} from '../domain/text-rules.js';
import { canonicalUnits, UNITS_MAX, unitKind } from '../domain/units.js';
import { EVENT_COST_MAX } from '../domain/usage.js';
import { fromWireAttribution, fromWireSource, fromWireUnits } from './from-wire.js';
import type { RequestCheck } from './request-check.js';

/** A reservation as it came over the wire, checked. Bad fields go to the check. */
export function fromWireReservation(wire: UsageReservation__Output, check: RequestCheck): UsageReservation {
  return {
    eventId: check.required('reservation.event_id', wire.eventId, eventIdRule),
    attribution: fromWireAttribution('reservation', wire.attribution, check),
    provider: check.required('reservation.provider', wire.provider, shortTextRule(PROVIDER_LENGTH_MAX)),
    model: check.required('reservation.model', wire.model, shortTextRule(MODEL_LENGTH_MAX)),
    estimate: wire.estimate === null ? undefined : fromWireEstimate(wire.estimate, check),
    holdsNothing: wire.holdsNothing ? true : undefined,
    ttlMs: fromWireTtl(wire.ttl, check),
    operationKey: check.optional(
      'reservation.operation_key',
      wire.operationKey,
      shortTextRule(OPERATION_KEY_LENGTH_MAX),
    ),
    step: check.optional('reservation.step', wire.step, shortTextRule(STEP_LENGTH_MAX)),
    properties: check.properties('reservation.properties', wire.properties),
    workflowSource:
      wire.workflowSource === null ? undefined : fromWireSource('reservation', wire.workflowSource, check),
  };
}

/** An estimate that says nothing is none: it would be refused later than one of nothing. */
function fromWireEstimate(wire: UsageEstimate__Output, check: RequestCheck): UsageEstimate | undefined {
  if (wire.units) {
    const units = fromWireUnits('reservation.estimate.units', wire.units.units, check);
    return { kind: 'units', units };
  }
  if (wire.tokens) {
    const field = 'reservation.estimate.tokens';
    const input = check.count(`${field}.max_input_tokens`, wire.tokens.maxInputTokens, UNITS_MAX);
    const output = check.count(`${field}.max_output_tokens`, wire.tokens.maxOutputTokens, UNITS_MAX);
    return { kind: 'units', units: canonicalUnits(new Map([[unitKind('text'), { input, output }]])) };
  }
  if (wire.estimate === 'cost') {
    const cost = parseMoney(wire.cost ?? '');
    if (cost === undefined || cost < 0n || cost > EVENT_COST_MAX) {
      check.bad('reservation.estimate.cost', 'must be a decimal number from 0 to 1000000');
    }
    return { kind: 'cost', cost: cost ?? NO_MONEY };
  }
  return undefined;
}

function fromWireTtl(wire: Duration__Output | null, check: RequestCheck): number {
  if (wire === null) return RESERVATION_TTL_DEFAULT_MS;
  const ttlMs = Number(wire.seconds) * 1_000 + Math.floor(wire.nanos / 1_000_000);
  if (!(ttlMs >= RESERVATION_TTL_MIN_MS && ttlMs <= RESERVATION_TTL_MAX_MS)) {
    check.bad('reservation.ttl', 'must be from 1 second to 24 hours');
    return RESERVATION_TTL_DEFAULT_MS;
  }
  return ttlMs;
}
