import { setTimeout as sleep } from 'node:timers/promises';
import type { ExperienceRun as WireRun } from '../contract/generated/experiences/v1/ExperienceRun.js';
import type { ExperienceRunServiceHandlers } from '../contract/generated/experiences/v1/ExperienceRunService.js';
import type { StartExperienceRequest__Output } from '../contract/generated/experiences/v1/StartExperienceRequest.js';
import { Fault } from '../domain/fault.js';
import {
  DOCUMENT_NAME_LENGTH_MAX,
  documentText,
  PARAMETERS_LENGTH_MAX,
  type RunDocument,
  type RunInput,
} from '../domain/run.js';
import { longTextRule, shortTextRule, typeNameRule, userIdRule } from '../domain/text-rules.js';
import type { Handlers } from './handler.js';
import { RequestCheck } from './request-check.js';
import type { RunRequest, Runs, RunView } from './runs.js';
import { toWireTime, toWireTotals } from './to-wire.js';

export function experienceRunService(runs: Runs, handlers: Handlers): ExperienceRunServiceHandlers {
  let watchers = 0;
  return {
    StartExperience: handlers.unary(async (request, { application, strictIds, deadline }) => {
      const wanted = fromWireStart(request, new RequestCheck({ strictIds }));
      const started = await runs.start(application, wanted, deadline);
      return {
        run: toWireRun(started.run),
        alreadyExisted: started.alreadyExisted,
        experienceIdReplaced: started.idReplaced,
      };
    }),

    GetExperienceRun: handlers.unary(async (request, { application, deadline }) => {
      const id = new RequestCheck().experienceId('experience_id', request.experienceId);
      return { run: toWireRun(await runs.get(application, id, deadline, { withProgress: true })) };
    }),

    WatchExperienceRun: handlers.stream(async (request, { application, signal, send }) => {
      const id = new RequestCheck().experienceId('experience_id', request.experienceId);
      if (watchers >= WATCHERS_MAX) {
        throw new Fault('TOO_MANY_WATCHERS', `This process serves at most ${WATCHERS_MAX} watchers.`, {
          retryAfterMs: 1_000,
        });
      }
      watchers += 1;
      try {
        let sent = { text: '', time: 0 };
        while (!signal.aborted) {
          const view = await runs.get(application, id, Date.now() + POLL_TIME_MAX_MS, { withProgress: true });
          const run = toWireRun(view);
          const text = JSON.stringify(run);
          if (text !== sent.text || Date.now() - sent.time >= HEARTBEAT_MS) {
            await send({ run });
            sent = { text, time: Date.now() };
          }
          if (view.engineRun.state !== 'RUNNING') return;
          await sleep(POLL_MS, undefined, { signal }).catch(() => undefined); // Aborted: the loop ends by itself.
        }
      } finally {
        watchers -= 1;
      }
    }),

    CancelExperience: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const reason = check.optional('reason', request.reason, longTextRule(REASON_LENGTH_MAX));
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      return { run: toWireRun(await runs.cancel(application, id, reason, deadline)) };
    }),
  };
}

function fromWireStart(request: StartExperienceRequest__Output, check: RequestCheck): RunRequest {
  const wanted = {
    type: check.required('experience_type', request.experienceType, typeNameRule),
    version: check.version('experience_version', request.experienceVersion),
    experienceId: check.newExperienceId('experience_id', request.experienceId),
    userId: check.optional('user_id', request.userId, userIdRule),
    properties: check.properties('properties', request.properties),
    input: fromWireInput(request, check),
  };
  check.done();
  return wanted;
}

function fromWireInput(request: StartExperienceRequest__Output, check: RequestCheck): RunInput {
  if (request.document === null && request.parametersJson === '') {
    check.bad('document', 'is required unless parameters_json is given');
  }
  return {
    ...(request.document === null ? {} : { document: fromWireDocument(request.document, check) }),
    ...(request.parametersJson === ''
      ? {}
      : { parameters: fromParametersJson(request.parametersJson, check) }),
  };
}

function fromWireDocument(
  wire: { readonly name: string; readonly content: Buffer },
  check: RequestCheck,
): RunDocument {
  const name = check.optional('document.name', wire.name, shortTextRule(DOCUMENT_NAME_LENGTH_MAX)) ?? '';
  const read = documentText(wire.content);
  if ('text' in read) return { name, text: read.text };
  check.bad('document.content', read.problem);
  return { name, text: '' };
}

function fromParametersJson(json: string, check: RequestCheck): Record<string, unknown> {
  if (json.length > PARAMETERS_LENGTH_MAX) {
    check.bad('parameters_json', `must be at most ${PARAMETERS_LENGTH_MAX} characters`);
    return {};
  }
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Answered below, as for JSON that is not an object.
  }
  check.bad('parameters_json', 'must be a JSON object');
  return {};
}

function toWireRun({ experience, note, engineRun, progress }: RunView): WireRun {
  return {
    experienceId: experience.id,
    experienceType: experience.type,
    experienceVersion: experience.version,
    workflowType: note.workflowType,
    workflowId: note.workflowId,
    runId: note.runId ?? engineRun.runId,
    state: `RUN_STATE_${engineRun.state}`,
    progress: progress ?? null,
    totals: toWireTotals(experience.totals),
    startTime: toWireTime(engineRun.startTime),
    endTime: toWireTime(engineRun.endTime),
    resultJson: engineRun.resultJson ?? '',
    failure: engineRun.failure ?? null,
  };
}

const WATCHERS_MAX = 256;
const POLL_MS = 300;
const POLL_TIME_MAX_MS = 10_000;
const HEARTBEAT_MS = 15_000;
const REASON_LENGTH_MAX = 1_024;
