import type { ExperienceTypeServiceHandlers } from '../contract/generated/experiences/v1/ExperienceTypeService.js';
import type { UpdateExperienceTypeRequest__Output } from '../contract/generated/experiences/v1/UpdateExperienceTypeRequest.js';
import type { ExperienceTypeContent } from '../domain/experience-type.js';
import {
  DESCRIPTION_LENGTH_MAX,
  eventIdRule,
  longTextRule,
  shortTextRule,
  shown,
  typeNameRule,
} from '../domain/text-rules.js';
import type { Ledger } from '../ledger/ledger.js';
import { fromWireLimitConfig } from './from-wire-limits.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import type { PageTokens } from './page-token.js';
import { RequestCheck } from './request-check.js';
import { toWireTime, toWireType } from './to-wire.js';

export function experienceTypeService(
  ledger: Ledger,
  tokens: PageTokens,
  handlers: Handlers,
): ExperienceTypeServiceHandlers {
  return {
    CreateExperienceType: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const name = check.required('name', request.name, typeNameRule);
      const content = {
        description: check.required('description', request.description.trim(), DESCRIPTION_RULE),
        workflowType: check.optional('workflow_type', request.workflowType, ENGINE_NAME_RULE),
        taskQueue: check.optional('task_queue', request.taskQueue, ENGINE_NAME_RULE),
        limitConfig: request.limitConfig
          ? fromWireLimitConfig('limit_config', request.limitConfig, check)
          : undefined,
        loggingDisabled: request.loggingDisabled,
      };
      check.done();
      const { type, alreadyExisted } = await ledger.types.create(application, name, content, deadline);
      return { experienceType: toWireType(type), alreadyExisted };
    }),

    GetExperienceType: handlers.unary(async (request, { application, deadline }) => {
      const name = checkedName(request.name);
      const type = await ledger.types.get(application, name, request.showDeleted, deadline);
      return { experienceType: toWireType(type) };
    }),

    ListExperienceTypes: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const scope = [
        'types',
        application,
        request.showDeleted,
        ...(request.descending ? ['last first'] : []),
      ];
      const limit = check.pageSize(request.pageSize);
      const after = tokens.read(request.pageToken, scope, check);
      check.done();
      const wanted = {
        after: typeof after === 'string' ? after : undefined,
        descending: request.descending,
        limit: limit + 1,
        showDeleted: request.showDeleted,
      };
      const types = await ledger.types.list(application, wanted, deadline);
      const { page, last } = pageOf(types, limit, toWireType);
      return {
        experienceTypes: page,
        nextPageToken: last === undefined ? '' : tokens.write(last.name, scope),
      };
    }),

    UpdateExperienceType: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const name = check.required('name', request.name, typeNameRule);
      const change = fromWireUpdate(request, check);
      check.done();
      const type = await ledger.types.update(application, name, change, request.etag || undefined, deadline);
      return { experienceType: toWireType(type) };
    }),

    DeleteExperienceType: handlers.unary(async (request, { application, deadline }) => {
      const type = await ledger.types.delete(
        application,
        checkedName(request.name),
        request.etag || undefined,
        deadline,
      );
      return { experienceType: toWireType(type) };
    }),

    UndeleteExperienceType: handlers.unary(async (request, { application, deadline }) => {
      const type = await ledger.types.undelete(application, checkedName(request.name), deadline);
      return { experienceType: toWireType(type) };
    }),

    IncrementExperienceTypeVersion: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const name = check.required('name', request.name, typeNameRule);
      const requestId = check.optional('request_id', request.requestId, eventIdRule);
      check.done();
      const options = { etag: request.etag || undefined, requestId };
      const { type, version, duplicate } = await ledger.types.incrementVersion(
        application,
        name,
        options,
        deadline,
      );
      return { experienceType: toWireType(type), version, duplicate };
    }),

    ListExperienceTypeVersions: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const name = check.required('name', request.name, typeNameRule);
      const scope = ['versions', application, name];
      const limit = check.pageSize(request.pageSize);
      const before = tokens.read(request.pageToken, scope, check);
      check.done();
      const page = { before: typeof before === 'number' ? before : undefined, limit: limit + 1 };
      const versions = await ledger.types.versions(application, name, page, deadline);
      const last = versions.length > limit ? versions[limit - 1] : undefined;
      return {
        versions: versions
          .slice(0, limit)
          .map(({ version, createTime }) => ({ version, createTime: toWireTime(createTime) })),
        nextPageToken: last === undefined ? '' : tokens.write(last.version, scope),
      };
    }),
  };
}

/** The fields that the mask names; without a mask those that are not empty. */
function fromWireUpdate(
  request: UpdateExperienceTypeRequest__Output,
  check: RequestCheck,
): Partial<ExperienceTypeContent> {
  const paths = request.updateMask?.paths ?? [];
  const unknown = paths.filter((path) => path !== '*' && !(UPDATABLE as readonly string[]).includes(path));
  for (const path of unknown) {
    check.bad('update_mask', `names '${shown(path)}'; it may name ${UPDATABLE.join(', ')} or *`);
  }
  const given = {
    description: request.description,
    workflow_type: request.workflowType,
    task_queue: request.taskQueue,
    limit_config: request.limitConfig === null ? '' : 'given',
    logging_disabled: request.loggingDisabled ? 'given' : '',
  };
  const named = (path: (typeof UPDATABLE)[number]) =>
    paths.length === 0 ? given[path] !== '' : paths.includes('*') || paths.includes(path);
  if (unknown.length === 0 && !UPDATABLE.some(named)) check.bad('update_mask', 'names nothing to change');
  return {
    ...(named('description')
      ? { description: check.required('description', request.description.trim(), DESCRIPTION_RULE) }
      : {}),
    ...(named('workflow_type')
      ? { workflowType: check.optional('workflow_type', request.workflowType, ENGINE_NAME_RULE) }
      : {}),
    ...(named('task_queue')
      ? { taskQueue: check.optional('task_queue', request.taskQueue, ENGINE_NAME_RULE) }
      : {}),
    ...(named('limit_config')
      ? {
          limitConfig: request.limitConfig
            ? fromWireLimitConfig('limit_config', request.limitConfig, check)
            : undefined,
        }
      : {}),
    ...(named('logging_disabled') ? { loggingDisabled: request.loggingDisabled } : {}),
  };
}

function checkedName(name: string): string {
  const check = new RequestCheck();
  check.required('name', name, typeNameRule);
  check.done();
  return name;
}

const UPDATABLE = ['description', 'workflow_type', 'task_queue', 'limit_config', 'logging_disabled'] as const;
const DESCRIPTION_RULE = longTextRule(DESCRIPTION_LENGTH_MAX);
/** Names of workflows and task queues; Temporal itself allows 1,000 bytes. */
const ENGINE_NAME_RULE = shortTextRule(200);
