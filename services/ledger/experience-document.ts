import type { Experience, StartedRun } from '../domain/experience.js';
import type { ExperienceDocument, RunDocument } from './documents.js';
import { fromLabels } from './labels.js';
import { fromBinary } from './store.js';
import { fromSumsFields } from './sums.js';

export function fromExperienceDocument(document: ExperienceDocument): Experience {
  return {
    id: fromBinary(document._id.x),
    type: document.t,
    version: document.v,
    userId: document.ui,
    properties: fromLabels(document.lb),
    totals: { ...fromSumsFields(document), firstEventTime: document.f, lastEventTime: document.l },
    createTime: document.c,
    deleteTime: document.d,
    run: document.run === undefined ? undefined : fromRunDocument(document.run),
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
