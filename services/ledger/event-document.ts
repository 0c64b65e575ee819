import { Binary, type UpdateFilter } from 'mongodb';
import type { LimitCharge } from '../domain/limit-charge.js';
import { addMoney } from '../domain/money.js';
import { type Units, unitKind } from '../domain/units.js';
import type {
  RecordedOutcome,
  RecordWarning,
  Settlement,
  UnpricedReason,
  UsageEvent,
  WorkflowSource,
} from '../domain/usage.js';
import { isCanonicalUuid } from '../domain/uuid.js';
import type { ChargeFields, EventDocument, EventKey, WorkflowSourceFields } from './documents.js';
import { fromLabels, toLabels } from './labels.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { isUsefulOfOperation, operationHash } from './operation-hash.js';
import { fromBinary, toBinary } from './store.js';

/** A canonical UUID is kept as 16 bytes; any other id as the text it is. */
export function toEventKey(application: string, eventId: string): EventKey {
  return { a: application, e: isCanonicalUuid(eventId) ? toBinary(eventId) : eventId };
}

export function toEventDocument(
  application: string,
  event: UsageEvent,
  contentHash: Uint8Array,
): EventDocument {
  const document: EventDocument = {
    _id: toEventKey(application, event.eventId),
    h: new Binary(contentHash),
    r: event.recordTime,
    q: event.eventTime,
    t: event.experienceType,
    v: event.experienceVersion,
    p: event.provider,
    m: event.model,
    un: toUnitFields(event.units),
    oc: event.outcome,
    ci: toDecimal(event.cost.input),
    co: toDecimal(event.cost.output),
  };
  if (event.experienceId !== undefined) document.x = toBinary(event.experienceId);
  if (event.useful) document.us = true;
  if (isUsefulOfOperation(event)) document.uo = operationHash(event);
  if (event.experienceCreated) document.cr = true;
  if (event.experienceIdReplaced) document.rp = true;
  if (event.requestedModel !== undefined) document.rm = event.requestedModel;
  if (event.priceId !== undefined) document.pr = toBinary(event.priceId);
  if (event.unpriced.length > 0) document.up = toUnpricedFields(event.unpriced);
  if (event.repricings.length > 0) document.hp = toRepricingFields(event.repricings);
  if (event.operationKey !== undefined) document.op = event.operationKey;
  if (event.step !== undefined) document.st = event.step;
  if (event.latencyMs !== undefined) document.lt = event.latencyMs;
  if (event.timeToFirstTokenMs !== undefined) document.ft = event.timeToFirstTokenMs;
  if (event.httpStatusCode !== undefined) document.hs = event.httpStatusCode;
  if (event.providerRequestId !== undefined) document.pq = event.providerRequestId;
  if (event.providerResponseId !== undefined) document.ps = event.providerResponseId;
  if (event.properties.size > 0) document.lb = toLabels(event.properties);
  if (event.userId !== undefined) document.ui = event.userId;
  if (event.requestTags.length > 0) document.tg = [...event.requestTags];
  if (event.workflowSource !== undefined) document.wf = toWorkflowSourceFields(event.workflowSource);
  if (event.warnings.length > 0) document.wa = [...event.warnings];
  if (event.settlement !== 'NONE') document.se = SETTLEMENT_FIELD[event.settlement];
  if (event.charges.length > 0) document.li = toChargeFields(event.charges);
  return document;
}

/** The change of a recorded event to another state: everything that may ever change. */
export function toEventUpdate(event: UsageEvent): UpdateFilter<EventDocument> {
  const { us, uo, pr, up, hp, wa } = toEventDocument('', event, NO_HASH);
  const fields = {
    t: event.experienceType,
    v: event.experienceVersion,
    ci: toDecimal(event.cost.input),
    co: toDecimal(event.cost.output),
    ...(us && { us }),
    ...(uo && { uo }),
    ...(pr && { pr }),
    ...(up && { up }),
    ...(hp && { hp }),
    ...(wa && { wa }),
  };
  const gone = MAY_GO.filter((field) => !(field in fields)).map((field) => [field, ''] as const);
  return { $set: fields, ...(gone.length === 0 ? {} : { $unset: Object.fromEntries(gone) }) };
}

const SETTLEMENT_FIELD = { SETTLED: 's', UNSETTLED: 'u', RELEASED: 'r' } as const;
const SETTLEMENT_OF = { s: 'SETTLED', u: 'UNSETTLED', r: 'RELEASED' } as const satisfies Record<
  string,
  Settlement
>;
const MAY_GO = ['us', 'uo', 'pr', 'up', 'hp', 'wa'] as const;
const NO_HASH = new Uint8Array();

export function fromEventDocument(document: EventDocument): UsageEvent {
  const input = fromDecimal(document.ci);
  const output = fromDecimal(document.co);
  return {
    eventId: typeof document._id.e === 'string' ? document._id.e : fromBinary(document._id.e),
    experienceId: document.x === undefined ? undefined : fromBinary(document.x),
    experienceType: document.t,
    experienceVersion: document.v,
    userId: document.ui,
    requestTags: document.tg ?? [],
    provider: document.p,
    model: document.m,
    requestedModel: document.rm,
    units: fromUnitFields(document.un),
    outcome: document.oc as RecordedOutcome, // Written by toEventDocument only.
    operationKey: document.op,
    step: document.st,
    latencyMs: document.lt,
    timeToFirstTokenMs: document.ft,
    httpStatusCode: document.hs,
    providerRequestId: document.pq,
    providerResponseId: document.ps,
    properties: fromLabels(document.lb),
    workflowSource: document.wf === undefined ? undefined : fromWorkflowSourceFields(document.wf),
    eventTime: document.q,
    recordTime: document.r,
    cost: { input, output, total: addMoney(input, output) },
    priceId: document.pr === undefined ? undefined : fromBinary(document.pr),
    unpriced: fromUnpricedFields(document.up),
    repricings: (document.hp ?? []).map(({ i, p, r, ci, co }) => {
      const cost = { input: fromDecimal(ci), output: fromDecimal(co) };
      return {
        id: fromBinary(i),
        priceId: fromBinary(p),
        time: r,
        cost: { ...cost, total: addMoney(cost.input, cost.output) },
      };
    }),
    useful: document.us === true,
    experienceCreated: document.cr === true,
    experienceIdReplaced: document.rp === true,
    warnings: (document.wa ?? []) as RecordWarning[], // Written by toEventDocument only.
    settlement: document.se === undefined ? 'NONE' : SETTLEMENT_OF[document.se],
    charges: fromChargeFields(document.li),
  };
}

export function toChargeFields(charges: readonly LimitCharge[]): ChargeFields[] {
  return charges.map(({ limitId, period, blocking }) => ({
    i: toBinary(limitId),
    p: period,
    ...(blocking ? { b: true } : {}),
  }));
}

export function fromChargeFields(fields: readonly ChargeFields[] | undefined): readonly LimitCharge[] {
  if (fields === undefined) return NO_CHARGES;
  return fields.map(({ i, p, b }) => ({ limitId: fromBinary(i), period: p, blocking: b === true }));
}

const NO_CHARGES: readonly LimitCharge[] = [];

export function fromUnitFields(fields: EventDocument['un'] | undefined): Units {
  return new Map((fields ?? []).map(({ k, i, o }) => [unitKind(k), { input: BigInt(i), output: BigInt(o) }]));
}

export function fromUnpricedFields(fields: EventDocument['up']): UsageEvent['unpriced'] {
  return (fields ?? []).map(({ k, i, o, w }) => ({
    kind: unitKind(k),
    input: BigInt(i),
    output: BigInt(o),
    reason: w as UnpricedReason, // Written by toUnpricedFields only.
  }));
}

export function toUnitFields(units: Units): EventDocument['un'] {
  const fields: EventDocument['un'] = [];
  for (const [k, { input, output }] of units) fields.push({ k, i: input, o: output });
  return fields;
}

export function toUnpricedFields(unpriced: UsageEvent['unpriced']): NonNullable<EventDocument['up']> {
  return unpriced.map(({ kind, input, output, reason }) => ({ k: kind, i: input, o: output, w: reason }));
}

function toRepricingFields(repricings: UsageEvent['repricings']): NonNullable<EventDocument['hp']> {
  return repricings.map(({ id, priceId, time, cost }) => ({
    i: toBinary(id),
    p: toBinary(priceId),
    r: time,
    ci: toDecimal(cost.input),
    co: toDecimal(cost.output),
  }));
}

export function toWorkflowSourceFields(source: WorkflowSource): WorkflowSourceFields {
  return {
    ns: source.namespace,
    w: source.workflowId,
    r: source.runId,
    wt: source.workflowType,
    ai: source.activityId,
    at: source.activityType,
    n: source.attempt,
    tq: source.taskQueue,
    lo: source.isLocal,
    id: source.workerIdentity,
  };
}

export function fromWorkflowSourceFields(fields: WorkflowSourceFields): WorkflowSource {
  return {
    namespace: fields.ns,
    workflowId: fields.w,
    runId: fields.r,
    workflowType: fields.wt,
    activityId: fields.ai,
    activityType: fields.at,
    attempt: fields.n,
    taskQueue: fields.tq,
    isLocal: fields.lo,
    workerIdentity: fields.id,
  };
}
