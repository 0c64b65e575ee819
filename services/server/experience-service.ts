import type { ExperienceServiceHandlers } from '../contract/generated/experiences/v1/ExperienceService.js';
import { typeNameRule, userIdRule } from '../domain/text-rules.js';
import { parseUuid } from '../domain/uuid.js';
import type { ExperiencePosition } from '../ledger/experiences.js';
import type { Ledger } from '../ledger/ledger.js';
import { fromWireLimitConfig } from './from-wire-limits.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import { fromTimeAndId, type PageTokens } from './page-token.js';
import type { Recorder } from './recorder.js';
import { RequestCheck } from './request-check.js';
import { toWireExperience } from './to-wire.js';

export function experienceService(
  ledger: Ledger,
  recorder: Recorder,
  tokens: PageTokens,
  handlers: Handlers,
): ExperienceServiceHandlers {
  return {
    CreateExperience: handlers.unary(async (request, { application, strictIds, deadline }) => {
      const check = new RequestCheck({ strictIds });
      const type = check.required('experience_type', request.experienceType, typeNameRule);
      const version = check.version('experience_version', request.experienceVersion);
      const experienceId = check.newExperienceId('experience_id', request.experienceId);
      const userId = check.optional('user_id', request.userId, userIdRule);
      const properties = check.properties('properties', request.properties);
      const limitConfig = request.limitConfig
        ? fromWireLimitConfig('limit_config', request.limitConfig, check)
        : undefined;
      check.done();
      const outcome = await recorder.createExperience(
        { application, type, version, experienceId, userId, properties, limitConfig },
        deadline,
      );
      return {
        experience: toWireExperience(outcome.experience),
        alreadyExisted: outcome.alreadyExisted,
        experienceIdReplaced: outcome.idReplaced,
      };
    }),

    GetExperience: handlers.unary(async (request, { application, deadline }) => {
      const id = new RequestCheck().experienceId('experience_id', request.experienceId);
      const experience = await ledger.experiences.get(application, id, request.showDeleted, deadline);
      return { experience: toWireExperience(experience) };
    }),

    ListExperiences: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const type = check.optional('experience_type', request.experienceType, typeNameRule);
      const version = check.version('experience_version', request.experienceVersion);
      if (version !== undefined && type === undefined)
        check.bad('experience_version', 'needs experience_type');
      const limit = check.pageSize(request.pageSize);
      const scope = ['experiences', application, type, version, request.showDeleted];
      const after = fromTokenPosition(tokens.read(request.pageToken, scope, check));
      check.done();
      const filter = { type, version, showDeleted: request.showDeleted };
      const experiences = await ledger.experiences.list(
        application,
        filter,
        { after, limit: limit + 1 },
        deadline,
      );
      const { page, last } = pageOf(experiences, limit, toWireExperience);
      return {
        experiences: page,
        nextPageToken: last === undefined ? '' : tokens.write([last.createTime.getTime(), last.id], scope),
      };
    }),

    UpdateExperienceProperties: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const change = check.labelChange(request);
      const id = check.experienceId('experience_id', request.experienceId);
      check.done();
      const experience = await ledger.experiences.updateProperties(application, id, change, deadline);
      return { experience: toWireExperience(experience) };
    }),

    DeleteExperience: handlers.unary(async (request, { application, deadline }) => {
      const id = new RequestCheck().experienceId('experience_id', request.experienceId);
      const experience = await ledger.experiences.delete(application, id, deadline);
      return { experience: toWireExperience(experience) };
    }),
  };
}

function fromTokenPosition(position: unknown): ExperiencePosition | undefined {
  const at = fromTimeAndId(position);
  const id = at && parseUuid(at.id);
  return at === undefined || id === undefined ? undefined : { createTime: at.time, id };
}
