import type { AdminServiceHandlers } from '../contract/generated/experiences/v1/AdminService.js';
import type { Application as WireApplication } from '../contract/generated/experiences/v1/Application.js';
import type { UpdateApplicationRequest__Output } from '../contract/generated/experiences/v1/UpdateApplicationRequest.js';
import { type Application, applicationIdRule } from '../domain/application.js';
import { Fault } from '../domain/fault.js';
import { DESCRIPTION_LENGTH_MAX, longTextRule, shown } from '../domain/text-rules.js';
import type { ApplicationContent } from '../ledger/applications.js';
import type { Ledger } from '../ledger/ledger.js';
import { applicationNotFound } from '../ledger/not-found.js';
import type { Authenticator, Caller } from './authenticator.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import type { PageTokens } from './page-token.js';
import { RequestCheck } from './request-check.js';
import { toWireTime } from './to-wire.js';

/** The methods of AdminService about applications: of its own for most callers, of all for the bootstrap key. */
export function applicationMethods(
  ledger: Ledger,
  authenticator: Authenticator,
  tokens: PageTokens,
  handlers: Handlers,
): Pick<
  AdminServiceHandlers,
  'CreateApplication' | 'GetApplication' | 'ListApplications' | 'UpdateApplication'
> {
  return {
    CreateApplication: handlers.unary(async (request, { isBootstrap, deadline }) => {
      // Before anything is looked at: another application's id would show.
      if (!isBootstrap)
        throw new Fault('BOOTSTRAP_KEY_REQUIRED', 'Only the bootstrap key may create applications.');
      const check = new RequestCheck();
      const id = check.required('application_id', request.applicationId, applicationIdRule);
      const description = checkedDescription(request.description, check);
      check.done();
      const content = { description, strictIds: request.strictIds };
      const { application, alreadyExisted } = await ledger.applications.create(id, content, deadline);
      return { application: toWireApplication(application), alreadyExisted };
    }),

    GetApplication: handlers.unary(async (request, { deadline, ...caller }) => {
      const id = addressed(request.applicationId, caller);
      return { application: toWireApplication(await ledger.applications.get(id, deadline)) };
    }),

    ListApplications: handlers.unary(async (request, { application, isBootstrap, deadline }) => {
      const check = new RequestCheck();
      const limit = check.pageSize(request.pageSize);
      const scope = ['applications', application, isBootstrap];
      const after = tokens.read(request.pageToken, scope, check);
      check.done();
      if (!isBootstrap) {
        return { applications: [toWireApplication(await ledger.applications.get(application, deadline))] };
      }
      const position = typeof after === 'string' ? after : undefined;
      const found = await ledger.applications.list({ after: position, limit: limit + 1 }, deadline);
      const { page, last } = pageOf(found, limit, toWireApplication);
      return { applications: page, nextPageToken: last ? tokens.write(last.id, scope) : '' };
    }),

    UpdateApplication: handlers.unary(async (request, { deadline, ...caller }) => {
      const check = new RequestCheck();
      const change = fromWireUpdate(request, check);
      check.done();
      const id = addressed(request.applicationId, caller);
      const application = await ledger.applications.update(id, change, deadline);
      authenticator.forget();
      return { application: toWireApplication(application) };
    }),
  };
}

/** Another application is to a caller as one that does not exist. */
function addressed(text: string, { application, isBootstrap }: Caller): string {
  const id = text === '' ? application : text;
  if (id !== application && (!isBootstrap || applicationIdRule(id) !== undefined))
    throw applicationNotFound(shown(id));
  return id;
}

function fromWireUpdate(
  request: UpdateApplicationRequest__Output,
  check: RequestCheck,
): Partial<ApplicationContent> {
  const paths = request.updateMask?.paths ?? [];
  if (paths.length === 0) check.bad('update_mask', 'names nothing to change');
  for (const path of paths.filter((each) => !UPDATABLE.includes(each)))
    check.bad('update_mask', `names '${shown(path)}'; it may name ${UPDATABLE.join(', ')}`);
  const named = (path: string) => paths.includes('*') || paths.includes(path);
  return {
    ...(named('description') ? { description: checkedDescription(request.description, check) } : {}),
    ...(named('strict_ids') ? { strictIds: request.strictIds } : {}),
  };
}

function checkedDescription(text: string, check: RequestCheck): string {
  return check.optional('description', text.trim(), DESCRIPTION_RULE) ?? '';
}

function toWireApplication({ id, description, strictIds, createTime }: Application): WireApplication {
  return {
    applicationId: id,
    description,
    strictIds,
    createTime: createTime ? toWireTime(createTime) : null,
  };
}

const UPDATABLE = ['description', 'strict_ids', '*'];
const DESCRIPTION_RULE = longTextRule(DESCRIPTION_LENGTH_MAX);
