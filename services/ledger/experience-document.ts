import type { Experience, StartedRun } from '../domain/experience.js';
import { NO_MONEY } from '../domain/money.js';
import type { ExperienceDocument, RunDocument } from './documents.js';
import { fromLabels } from './labels.js';
import { fromDecimal } from './money-decimal.js';
import { fromBinary } from './store.js';
import { fromSumsFields } from './sums.js';

export function fromExperienceDocument(document: ExperienceDocument): Experience {
  return {
    id: fromBinary(document._id.x),
    type: document.t,
    version: document.v,
    userId: document.ui,
    properties: fromLabels(document.lb),
    totals: {
      ...fromSumsFields(document),
      firstEventTime: document.f,
      lastEventTime: document.l,
      held: document.ho === undefined ? NO_MONEY : fromDecimal(document.ho),
      openReservationCount: BigInt(document.hn ?? 0),
      unsettled: document.uc === undefined ? NO_MONEY : fromDecimal(document.uc),
      unsettledEventCount: BigInt(document.uq ?? 0),
    },
    createTime: document.c,
    deleteTime: document.d,
    run: document.run === undefined ? undefined : fromRunDocument(document.run),
    limitType: document.lm === undefined ? undefined : document.lm === 'b' ? 'BLOCK' : 'ALLOW',
  };
}

function fromRunDocument(run: RunDocument): StartedRun {
  return {
    workflowType: run.wf,
    workflowId: run.id,
    taskQueue: run.tq,
    requestHash: run.h,
    runId: run.r,
    startTime: run.c,
    ...(run.in === undefined ? {} : { inputJson: run.in }),
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
    ...(run.inputJson === undefined ? {} : { in: run.inputJson }),
  };
}
