import { Binary } from 'mongodb';
import { addMoney, NO_MONEY } from '../domain/money.js';
import { isTombstone, type Reservation, type ReservationState } from '../domain/reservation.js';
import type { RecordWarning } from '../domain/usage.js';
import type { ReservationDocument } from './documents.js';
import {
  fromChargeFields,
  fromUnitFields,
  fromUnpricedFields,
  fromWorkflowSourceFields,
  toChargeFields,
  toEventKey,
  toUnitFields,
  toUnpricedFields,
  toWorkflowSourceFields,
} from './event-document.js';
import { fromLabels, toLabels } from './labels.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { fromBinary, toBinary } from './store.js';

export function toReservationDocument(
  application: string,
  reservation: Reservation,
  contentHash: Uint8Array,
): ReservationDocument {
  const document: ReservationDocument = {
    _id: toEventKey(application, reservation.eventId),
    h: new Binary(contentHash),
    s: toStateField(reservation.state),
    r: reservation.createTime,
    u: reservation.expireTime,
  };
  if (isTombstone(reservation)) return document;
  document.p = reservation.provider;
  document.m = reservation.model;
  document.un = toUnitFields(reservation.units);
  document.ei = toDecimal(reservation.cost.input);
  document.eo = toDecimal(reservation.cost.output);
  if (reservation.holdsNothing === true) document.nh = true;
  if (reservation.experienceId !== undefined) document.x = toBinary(reservation.experienceId);
  if (reservation.unpriced.length > 0) document.up = toUnpricedFields(reservation.unpriced);
  if (reservation.priceId !== undefined) document.pr = toBinary(reservation.priceId);
  if (reservation.operationKey !== undefined) document.op = reservation.operationKey;
  if (reservation.step !== undefined) document.st = reservation.step;
  if (reservation.properties.size > 0) document.lb = toLabels(reservation.properties);
  if (reservation.workflowSource !== undefined)
    document.wf = toWorkflowSourceFields(reservation.workflowSource);
  if (reservation.userId !== undefined) document.ui = reservation.userId;
  if (reservation.requestTags.length > 0) document.tg = [...reservation.requestTags];
  if (reservation.charges.length > 0) document.li = toChargeFields(reservation.charges);
  if (reservation.experienceCreated) document.cr = true;
  if (reservation.experienceIdReplaced) document.rp = true;
  if (reservation.warnings.length > 0) document.wa = [...reservation.warnings];
  return document;
}

export function fromReservationDocument(document: ReservationDocument): Reservation {
  const input = document.ei === undefined ? NO_MONEY : fromDecimal(document.ei);
  const output = document.eo === undefined ? NO_MONEY : fromDecimal(document.eo);
  return {
    eventId: typeof document._id.e === 'string' ? document._id.e : fromBinary(document._id.e),
    state: STATE_OF[document.s],
    createTime: document.r,
    expireTime: document.u,
    experienceId: document.x === undefined ? undefined : fromBinary(document.x),
    userId: document.ui,
    requestTags: document.tg ?? [],
    provider: document.p ?? '',
    model: document.m ?? '',
    units: fromUnitFields(document.un),
    cost: { input, output, total: addMoney(input, output) },
    holdsNothing: document.nh,
    priceId: document.pr === undefined ? undefined : fromBinary(document.pr),
    unpriced: fromUnpricedFields(document.up),
    operationKey: document.op,
    step: document.st,
    properties: fromLabels(document.lb),
    workflowSource: document.wf === undefined ? undefined : fromWorkflowSourceFields(document.wf),
    charges: fromChargeFields(document.li),
    experienceCreated: document.cr === true,
    experienceIdReplaced: document.rp === true,
    warnings: (document.wa ?? []) as RecordWarning[], // Written by toReservationDocument only.
  };
}

export function toStateField(state: ReservationState): ReservationDocument['s'] {
  return FIELD_OF[state];
}

const FIELD_OF = { OPEN: 'o', SETTLED: 's', RELEASED: 'r', UNSETTLED: 'u' } as const;
const STATE_OF = { o: 'OPEN', s: 'SETTLED', r: 'RELEASED', u: 'UNSETTLED' } as const;
