import type { AskExperienceResponse } from '../contract/generated/experiences/v1/AskExperienceResponse.js';
import type { ExperienceRun as WireRun } from '../contract/generated/experiences/v1/ExperienceRun.js';
import type { ExperienceRunServiceHandlers } from '../contract/generated/experiences/v1/ExperienceRunService.js';
import type { LimitStatus as WireLimitStatus } from '../contract/generated/experiences/v1/LimitStatus.js';
import type { StartExperienceRequest__Output } from '../contract/generated/experiences/v1/StartExperienceRequest.js';
import { type ChargedLimit, LIMIT_THRESHOLD_WHOLE, type LimitConfig } from '../domain/limit.js';
import { formatMoney } from '../domain/money.js';
import { DOCUMENT_NAME_LENGTH_MAX, documentText } from '../domain/run.js';
import { longTextRule, shortTextRule, typeNameRule, userIdRule } from '../domain/text-rules.js';
import { parseUuid } from '../domain/uuid.js';
import type { AnsweredQuestion, Conversations } from './conversations.js';
import { fromWireAsk } from './from-wire-ask.js';
import { fromWireMaxCost } from './from-wire-limits.js';
import { fromParametersJson } from './from-wire-parameters.js';
import type { Handlers } from './handler.js';
import { RequestCheck } from './request-check.js';
import type { RunOutputWatchers } from './run-outputs.js';
import { toWireTurn } from './run-state-service.js';
import { RunWatches } from './run-watches.js';
import type { RunRequest, Runs, RunView } from './runs.js';
import { toWireTime, toWireTotals } from './to-wire.js';
import { toWireLimit } from './to-wire-limits.js';

export function experienceRunService(
  runs: Runs,
  conversations: Conversations,
  outputs: RunOutputWatchers,
  handlers: Handlers,
): ExperienceRunServiceHandlers {
  const watches = new RunWatches(runs, outputs, toWireRun);
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

    WatchExperienceRun: handlers.stream(async (request, context) => {
      const id = new RequestCheck().experienceId('experience_id', request.experienceId);
      await watches.serve(id, request.includeOutput, context);
    }),

    AskExperience: handlers.unary(async (request, { application, deadline }) => {
      const wanted = fromWireAsk(request, new RequestCheck());
      return toWireAnswered(await conversations.ask(application, wanted, deadline));
    }),

    RaiseBudget: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const maxCost = fromWireMaxCost('max_cost', request.maxCost, check);
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      const { budget, runTold } = await runs.raiseBudget(application, id, maxCost, deadline);
      return { limit: toWireLimit(budget), runTold };
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
    document: fromWireGivenDocument(request, check),
    parameters: request.parametersJson === '' ? undefined : fromParametersJson(request.parametersJson, check),
    limitConfig: fromWireBudget(request.budget, check),
  };
  check.done();
  return wanted;
}

function fromWireGivenDocument(
  { document, documentId, parametersJson }: StartExperienceRequest__Output,
  check: RequestCheck,
): RunRequest['document'] {
  if (documentId !== '') {
    if (document !== null) check.bad('document', 'must not be given beside document_id');
    const id = parseUuid(documentId);
    if (id === undefined) check.bad('document_id', 'must be a UUID');
    return id === undefined ? undefined : { documentId: id };
  }
  if (document !== null) return fromWireDocument(document, check);
  if (parametersJson === '')
    check.bad('document', 'is required unless document_id or parameters_json is given');
  return undefined;
}

function fromWireDocument(
  wire: { readonly name: string; readonly content: Buffer },
  check: RequestCheck,
): { readonly name: string; readonly text: string } {
  const name = check.optional('document.name', wire.name, shortTextRule(DOCUMENT_NAME_LENGTH_MAX)) ?? '';
  const read = documentText(wire.content);
  if ('text' in read) return { name, text: read.text };
  check.bad('document.content', read.problem);
  return { name, text: '' };
}

function toWireAnswered({ turn, alreadyExisted, run }: AnsweredQuestion): AskExperienceResponse {
  return {
    turn: toWireTurn(turn),
    alreadyExisted,
    run: run === undefined ? null : toWireRun(run),
  };
}

/** Empty: the type says. */
function fromWireBudget(text: string, check: RequestCheck): LimitConfig | undefined {
  if (text === '') return undefined;
  const maxCost = fromWireMaxCost('budget', text, check);
  return { type: 'BLOCK', maxCost, threshold: LIMIT_THRESHOLD_WHOLE, tags: [] };
}

function toWireRun({ experience, note, engineRun, progress, budget }: RunView): WireRun {
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
    budget: budget === undefined ? null : toWireStatus(budget),
  };
}

function toWireStatus({ limit, state, period }: ChargedLimit): WireLimitStatus {
  return {
    limitId: limit.id,
    state: `LIMIT_STATE_${state}`,
    maxCost: formatMoney(limit.maxCost),
    spentCost: formatMoney(period.sum.spent),
    heldCost: formatMoney(period.sum.held),
  };
}

const REASON_LENGTH_MAX = 1_024;
