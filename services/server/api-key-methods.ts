import type { AdminServiceHandlers } from '../contract/generated/experiences/v1/AdminService.js';
import type { ApiKey as WireApiKey } from '../contract/generated/experiences/v1/ApiKey.js';
import type { Scope__Output } from '../contract/generated/experiences/v1/Scope.js';
import { type ApiKey, allScopesOf, SCOPES, type Scope } from '../domain/api-key.js';
import { DESCRIPTION_LENGTH_MAX, eventIdRule, longTextRule, shown } from '../domain/text-rules.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Authenticator } from './authenticator.js';
import type { Handlers } from './handler.js';
import { formatKeyText, newKeyText, secretHash } from './key-text.js';
import { RequestCheck } from './request-check.js';
import { toWireTime } from './to-wire.js';

/** The methods of AdminService about the keys of the caller's application, and about the caller's own. */
export function apiKeyMethods(
  ledger: Ledger,
  authenticator: Authenticator,
  handlers: Handlers,
): Pick<AdminServiceHandlers, 'CreateApiKey' | 'ListApiKeys' | 'RevokeApiKey' | 'GetCaller'> {
  return {
    CreateApiKey: handlers.unary(async (request, { application, isAnonymous, deadline }) => {
      const check = new RequestCheck();
      const scopes = fromWireScopes(request.scopes, check);
      // From then on every call needs a key, and without a bootstrap key nobody could make another.
      if (isAnonymous && !scopes.includes('ADMIN'))
        check.bad('scopes', 'of the first key must hold SCOPE_ADMIN');
      const description = check.optional('description', request.description.trim(), DESCRIPTION_RULE) ?? '';
      const requestId = check.optional('request_id', request.requestId, eventIdRule);
      check.done();
      const { id, secret } = newKeyText();
      const wanted = { id, scopes, description, requestId, secretHash: secretHash(secret) };
      const { key, duplicate } = await ledger.apiKeys.create(application, wanted, deadline);
      authenticator.forget();
      return { apiKey: toWireApiKey(key), keyText: formatKeyText({ id: key.id, secret }), duplicate };
    }),

    ListApiKeys: handlers.unary(async (_request, { application, deadline }) => ({
      apiKeys: (await ledger.apiKeys.list(application, deadline)).map(toWireApiKey),
    })),

    RevokeApiKey: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      if (request.keyId === '') check.bad('key_id', 'is required');
      check.done();
      const key = await ledger.apiKeys.revoke(application, shown(request.keyId), deadline);
      authenticator.forget();
      return { apiKey: toWireApiKey(key) };
    }),

    GetCaller: handlers.unary(async (_request, { application, scopes, isBootstrap }) => ({
      applicationId: application,
      scopes: scopes.map(toWireScope),
      isBootstrap,
    })),
  };
}

function fromWireScopes(wire: readonly Scope__Output[], check: RequestCheck): readonly Scope[] {
  const stated = SCOPES.filter((scope) => wire.includes(toWireScope(scope)));
  if (wire.length === 0) check.bad('scopes', 'is required');
  else if (wire.some((scope) => !SCOPES.some((known) => scope === toWireScope(known))))
    check.bad('scopes', `may hold ${SCOPES.map(toWireScope).join(', ')}`);
  return allScopesOf(stated);
}

function toWireScope<Known extends Scope>(scope: Known): `SCOPE_${Known}` {
  return `SCOPE_${scope}`;
}

function toWireApiKey({ id, application, scopes, description, createTime, revokeTime }: ApiKey): WireApiKey {
  return {
    keyId: id,
    applicationId: application,
    scopes: scopes.map(toWireScope),
    description,
    createTime: toWireTime(createTime),
    revokeTime: revokeTime ? toWireTime(revokeTime) : null,
  };
}

const DESCRIPTION_RULE = longTextRule(DESCRIPTION_LENGTH_MAX);
