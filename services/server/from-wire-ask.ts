import type { AskExperienceRequest__Output } from '../contract/generated/experiences/v1/AskExperienceRequest.js';
import { QUESTION_LENGTH_MAX } from '../domain/ask.js';
import { LIMIT_THRESHOLD_WHOLE, type LimitConfig } from '../domain/limit.js';
import { longTextRule, typeNameRule, userIdRule } from '../domain/text-rules.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { WantedTurn } from './conversations.js';
import { fromWireMaxCost } from './from-wire-limits.js';
import { fromParametersJson } from './from-wire-parameters.js';
import type { RequestCheck } from './request-check.js';

export function fromWireAsk(request: AskExperienceRequest__Output, check: RequestCheck): WantedTurn {
  const experienceId = uuid('experience_id', request.experienceId, check);
  const turnId = uuid('turn_id', request.turnId, check);
  const question = check.required('question', request.question, longTextRule(QUESTION_LENGTH_MAX));
  if (question !== '' && question.trim() === '') check.bad('question', 'is empty');
  const wanted = {
    question,
    type: check.optional('experience_type', request.experienceType, typeNameRule),
    version: check.version('experience_version', request.experienceVersion),
    documentId: request.documentId === '' ? undefined : uuid('document_id', request.documentId, check),
    parameters: request.parametersJson === '' ? undefined : fromParametersJson(request.parametersJson, check),
    userId: check.optional('user_id', request.userId, userIdRule),
    limitConfig: request.budget === '' ? undefined : budgetLimit(request.budget, check),
  };
  check.done();
  if (experienceId === undefined || turnId === undefined) throw new Error('a bad id was let through');
  return { ...wanted, experienceId, turnId };
}

/** Only a UUID of the caller's own makes the call safe to repeat. */
function uuid(field: string, text: string, check: RequestCheck): Uuid | undefined {
  const id = parseUuid(text);
  if (id === undefined) check.bad(field, text === '' ? 'is required' : 'must be a UUID');
  return id;
}

function budgetLimit(text: string, check: RequestCheck): LimitConfig {
  const maxCost = fromWireMaxCost('budget', text, check);
  return { type: 'BLOCK', maxCost, threshold: LIMIT_THRESHOLD_WHOLE, tags: [] };
}
