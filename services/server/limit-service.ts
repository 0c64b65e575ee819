import type { LimitServiceHandlers } from '../contract/generated/experiences/v1/LimitService.js';
import type { UpdateLimitRequest__Output } from '../contract/generated/experiences/v1/UpdateLimitRequest.js';
import { LIMIT_NAME_LENGTH_MAX, type LimitConfig } from '../domain/limit.js';
import { eventIdRule, shortTextRule, shown } from '../domain/text-rules.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';
import { LIMITS_COUNTED_MAX, type LimitChange, type LimitPosition } from '../ledger/limits.js';
import { limitNotFound } from '../ledger/not-found.js';
import { checkedTags } from './attribution-metadata.js';
import { fromWireLimitConfig, fromWireMaxCost, fromWireThreshold } from './from-wire-limits.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import { fromTimeAndId, type PageTokens } from './page-token.js';
import { RequestCheck } from './request-check.js';
import type { Runs } from './runs.js';
import { toWireLimit, toWireLimitPeriod } from './to-wire-limits.js';

export function limitService(
  ledger: Ledger,
  runs: Runs,
  tokens: PageTokens,
  handlers: Handlers,
): LimitServiceHandlers {
  return {
    CreateLimit: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const name = check.required('name', request.name.trim(), NAME_RULE);
      const config = requiredConfig(request, check);
      const { charged, alreadyExisted } = await ledger.limits.create(application, name, config, deadline);
      return { limit: toWireLimit(charged), alreadyExisted };
    }),

    GetLimit: handlers.unary(async (request, { application, deadline }) => {
      const id = checkedLimitId(request.limitId, new RequestCheck());
      const { charged, pastPeriods } = await ledger.limits.get(
        application,
        id,
        request.showDeleted,
        deadline,
      );
      return { limit: toWireLimit(charged), pastPeriods: pastPeriods.map(toWireLimitPeriod) };
    }),

    ListLimits: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const { showDeleted, showOwned, oldestFirst } = request;
      const name = check.optional('name', request.name.trim(), NAME_RULE);
      const tags = checkedTags('tags', request.tags, check);
      const limit = check.pageSize(request.pageSize);
      const skip = check.skip(request.skip, LIMITS_COUNTED_MAX);
      const scope = ['limits', application, name, [...tags].sort(), showDeleted, showOwned, oldestFirst];
      const after = fromTokenPosition(tokens.read(request.pageToken, scope, check));
      check.done();
      const filter = { name, tags, showDeleted, showOwned, oldestFirst };
      const wanted = { after, skip, limit: limit + 1 };
      const limits = await ledger.limits.list(application, filter, wanted, deadline);
      const totalSize = request.countTotal ? await ledger.limits.count(application, filter, deadline) : 0;
      const { page, last } = pageOf(limits, limit, toWireLimit);
      const position = last && [last.limit.createTime.getTime(), last.limit.id];
      return { limits: page, nextPageToken: position ? tokens.write(position, scope) : '', totalSize };
    }),

    UpdateLimit: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const change = fromWireUpdate(request, check);
      const id = checkedLimitId(request.limitId, check);
      const etag = request.etag || undefined;
      const charged = await ledger.limits.update(application, id, change, etag, deadline);
      // A repeat too: the first try may not have come so far. What was lowered refuses the run's next call again.
      if (change.maxCost !== undefined) await runs.tellBudget(application, charged.limit, deadline);
      return { limit: toWireLimit(charged) };
    }),

    ResetLimit: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const requestId = check.optional('request_id', request.requestId, eventIdRule);
      const id = checkedLimitId(request.limitId, check);
      const { charged, endedPeriod, duplicate } = await ledger.limits.reset(
        application,
        id,
        requestId,
        deadline,
      );
      await runs.tellBudget(application, charged.limit, deadline);
      return { limit: toWireLimit(charged), endedPeriod: toWireLimitPeriod(endedPeriod), duplicate };
    }),

    DeleteLimit: handlers.unary(async (request, { application, deadline }) => {
      const id = checkedLimitId(request.limitId, new RequestCheck());
      const etag = request.etag || undefined;
      return { limit: toWireLimit(await ledger.limits.delete(application, id, etag, deadline)) };
    }),
  };
}

function requiredConfig(request: { readonly config: WireConfig | null }, check: RequestCheck): LimitConfig {
  if (request.config === null) check.bad('config', 'is required');
  const config = request.config && fromWireLimitConfig('config', request.config, check);
  check.done();
  if (config === null) throw new Error('a request without a configuration does not pass its check');
  return config;
}

type WireConfig = Parameters<typeof fromWireLimitConfig>[1];

/** The fields that the mask names; without a mask those that are not empty. */
function fromWireUpdate(request: UpdateLimitRequest__Output, check: RequestCheck): LimitChange {
  const paths = request.updateMask?.paths ?? [];
  const unknown = paths.filter((path) => path !== '*' && !(UPDATABLE as readonly string[]).includes(path));
  for (const path of unknown) {
    check.bad('update_mask', `names '${shown(path)}'; it may name ${UPDATABLE.join(', ')} or *`);
  }
  const given = {
    name: request.name !== '',
    max_cost: request.maxCost !== '',
    threshold: request.threshold !== '',
    tags: request.tags.length > 0,
  };
  const named = (path: (typeof UPDATABLE)[number]) =>
    paths.length === 0 ? given[path] : paths.includes('*') || paths.includes(path);
  if (unknown.length === 0 && !UPDATABLE.some(named)) check.bad('update_mask', 'names nothing to change');
  return {
    ...(named('name') ? { name: check.required('name', request.name.trim(), NAME_RULE) } : {}),
    ...(named('max_cost') ? { maxCost: fromWireMaxCost('max_cost', request.maxCost, check) } : {}),
    ...(named('threshold') ? { threshold: fromWireThreshold('threshold', request.threshold, check) } : {}),
    ...(named('tags') ? { tags: checkedTags('tags', request.tags, check) } : {}),
  };
}

/** The last check of a request: what is no UUID names nothing. */
function checkedLimitId(text: string, check: RequestCheck): Uuid {
  if (text === '') check.bad('limit_id', 'is required');
  check.done();
  const id = parseUuid(text);
  if (id === undefined) throw limitNotFound(shown(text));
  return id;
}

function fromTokenPosition(position: unknown): LimitPosition | undefined {
  const at = fromTimeAndId(position);
  const id = at && parseUuid(at.id);
  return at && id && { createTime: at.time, id };
}

const UPDATABLE = ['name', 'max_cost', 'threshold', 'tags'] as const;
const NAME_RULE = shortTextRule(LIMIT_NAME_LENGTH_MAX);
