import type { Decimal128 } from 'mongodb';
import type { Experience, ExperienceTotals, StartedRun } from '../domain/experience.js';
import { addMoney, NO_MONEY } from '../domain/money.js';
import { unitKind } from '../domain/units.js';
import type { ExperienceDocument, RunDocument, TotalsFields } from './documents.js';
import { fromLabels } from './labels.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { fromBinary } from './store.js';

export function fromExperienceDocument(document: ExperienceDocument): Experience {
  return {
    id: fromBinary(document._id.x),
    type: document.t,
    version: document.v,
    userId: document.ui,
    properties: fromLabels(document.lb),
    totals: fromTotalsFields(document),
    createTime: document.c,
    deleteTime: document.d,
    run: document.run === undefined ? undefined : fromRunDocument(document.run),
  };
}

function fromTotalsFields(fields: TotalsFields): ExperienceTotals {
  const input = fromDecimal(fields.ci);
  const output = fromDecimal(fields.co);
  return {
    eventCount: BigInt(fields.n),
    cost: { input, output, total: addMoney(input, output) },
    useful: fromDecimal(fields.us),
    wasted: fromDecimal(fields.ws),
    unpricedEventCount: BigInt(fields.up),
    units: new Map(
      Object.entries(fields.un)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([kind, { i, o }]) => [unitKind(kind), { input: BigInt(i), output: BigInt(o) }]),
    ),
    firstEventTime: fields.f,
    lastEventTime: fields.l,
  };
}

/** Totals of an experience without events. */
export function noTotals(): TotalsFields {
  const zero: Decimal128 = toDecimal(NO_MONEY);
  return { n: 0n, ci: zero, co: zero, us: zero, ws: zero, up: 0n, un: {} };
}

function fromRunDocument(run: RunDocument): StartedRun {
  return {
    workflowType: run.wf,
    workflowId: run.id,
    taskQueue: run.tq,
    requestHash: run.h,
    runId: run.r,
    startTime: run.c,
  };
}

export function toRunDocument(run: StartedRun): RunDocument {
  return {
    wf: run.workflowType,
    id: run.workflowId,
    tq: run.taskQueue,
    h: run.requestHash,
    ...(run.runId === undefined ? {} : { r: run.runId }),
    c: run.startTime,
  };
}
