import type { GetUsageRequest__Output } from '../contract/generated/experiences/v1/GetUsageRequest.js';
import type { UsageServiceHandlers } from '../contract/generated/experiences/v1/UsageService.js';
import { Fault } from '../domain/fault.js';
import {
  eventIdRule,
  PROVIDER_ID_LENGTH_MAX,
  PROVIDER_LENGTH_MAX,
  shortTextRule,
} from '../domain/text-rules.js';
import type { UsageEvent } from '../domain/usage.js';
import { parseUuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';
import type { EventPosition } from '../ledger/usage-events.js';
import { fromAttributionMetadata, mergeAttribution } from './attribution-metadata.js';
import { batchRecordUsage } from './batch-record-usage.js';
import { fromWireUsageRecord } from './from-wire.js';
import { fromWireReservation } from './from-wire-reservation.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import { fromTimeAndId, type PageTokens } from './page-token.js';
import type { Recorder } from './recorder.js';
import { RequestCheck } from './request-check.js';
import { UsageStream } from './stream-usage.js';
import { toWireEvent } from './to-wire.js';
import { toWireRead, toWireRecorded, toWireReleased, toWireReserved } from './to-wire-reservation.js';

export function usageService(
  ledger: Ledger,
  recorder: Recorder,
  tokens: PageTokens,
  handlers: Handlers,
): UsageServiceHandlers {
  let streams = 0;
  return {
    RecordUsage: handlers.unary(async (request, { application, strictIds, metadata, deadline }) => {
      const check = new RequestCheck({ strictIds });
      const now = new Date();
      if (request.record === null) check.bad('record', 'is required');
      const record = request.record === null ? undefined : fromWireUsageRecord(request.record, now, check);
      const ofCall = fromAttributionMetadata(metadata, check);
      check.done();
      if (record === undefined) throw new Error('a request without a record does not pass its check');
      const attribution = mergeAttribution(record.attribution, ofCall);
      const rules = { refusesBlockingLimits: request.refuseBlockingLimits };
      return toWireRecorded(await recorder.record(application, { ...record, attribution }, deadline, rules));
    }),

    ReserveUsage: handlers.unary(async (request, { application, strictIds, metadata, deadline }) => {
      const check = new RequestCheck({ strictIds });
      const { reservation: wire } = request;
      if (wire === null) check.bad('reservation', 'is required');
      const reservation = wire === null ? undefined : fromWireReservation(wire, check);
      const ofCall = fromAttributionMetadata(metadata, check);
      check.done();
      if (reservation === undefined)
        throw new Error('a request without a reservation does not pass its check');
      const attribution = mergeAttribution(reservation.attribution, ofCall, 'reservation');
      return toWireReserved(await recorder.reserve(application, { ...reservation, attribution }, deadline));
    }),

    ReleaseUsage: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const eventId = check.required('event_id', request.eventId, eventIdRule);
      check.done();
      return toWireReleased(await recorder.release(application, eventId, deadline));
    }),

    BatchRecordUsage: handlers.unary((request, context) => batchRecordUsage(recorder, request, context)),

    StreamUsage: handlers.duplex(async (context) => {
      if (streams >= STREAMS_MAX) {
        throw new Fault('OVERLOADED', `This process serves at most ${STREAMS_MAX} streams of usage.`, {
          retryAfterMs: 1_000,
        });
      }
      streams += 1;
      try {
        await new UsageStream(recorder, context).run();
      } finally {
        streams -= 1;
      }
    }),

    GetUsage: handlers.unary(async (request, { application, deadline }) => {
      const event = await readEvent(ledger, application, request, deadline);
      const limits = await ledger.limits.standings(application, event.charges, deadline);
      return toWireRead(event, limits);
    }),

    UpdateUsageProperties: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const eventId = check.required('event_id', request.eventId, eventIdRule);
      const change = check.labelChange(request);
      check.done();
      return {
        event: toWireEvent(await ledger.events.updateProperties(application, eventId, change, deadline)),
      };
    }),

    ListUsage: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const limit = check.pageSize(request.pageSize);
      const scope = ['usage', application, parseUuid(request.experienceId)];
      const after = fromTokenPosition(tokens.read(request.pageToken, scope, check));
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      await ledger.experiences.get(application, id, true, deadline);
      const events = await ledger.events.list(application, id, { after, limit: limit + 1 }, deadline);
      const { page, last } = pageOf(events, limit, toWireEvent);
      return {
        events: page,
        nextPageToken:
          last === undefined ? '' : tokens.write([last.recordTime.getTime(), last.eventId], scope),
      };
    }),
  };
}

/** By one of two ids; both or none is a mistake. */
async function readEvent(
  ledger: Ledger,
  application: string,
  request: GetUsageRequest__Output,
  deadline: number,
): Promise<UsageEvent> {
  const check = new RequestCheck();
  const eventId = check.optional('event_id', request.eventId, eventIdRule);
  const responseId = check.optional('provider_response_id', request.providerResponseId, RESPONSE_ID_RULE);
  const provider = check.optional('provider', request.provider, PROVIDER_RULE);
  if (eventId === undefined && responseId === undefined) check.bad('event_id', 'is required');
  if (eventId !== undefined && responseId !== undefined)
    check.bad('provider_response_id', 'must be absent where event_id is given');
  if (responseId !== undefined && provider === undefined) check.bad('provider', 'is required');
  if (responseId === undefined && provider !== undefined) check.bad('provider', 'needs provider_response_id');
  check.done();
  if (eventId !== undefined) return ledger.events.get(application, eventId, deadline);
  if (responseId === undefined || provider === undefined)
    throw new Error('a request without an id does not pass its check');
  return ledger.events.getByResponse(application, provider, responseId, deadline);
}

const RESPONSE_ID_RULE = shortTextRule(PROVIDER_ID_LENGTH_MAX);
const PROVIDER_RULE = shortTextRule(PROVIDER_LENGTH_MAX);

function fromTokenPosition(position: unknown): EventPosition | undefined {
  const at = fromTimeAndId(position);
  return at && { recordTime: at.time, eventId: at.id };
}

/** Each may hold a window of messages; see stream-usage.ts. */
const STREAMS_MAX = 256;
