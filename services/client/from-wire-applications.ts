import type { ApiKey__Output } from '../contract/generated/experiences/v1/ApiKey.js';
import type { Application__Output } from '../contract/generated/experiences/v1/Application.js';
import type { Scope__Output } from '../contract/generated/experiences/v1/Scope.js';
import type { ApiKey, Application, Scope } from './application-types.js';
import { fromWireTime } from './from-wire.js';

export function fromWireApplication(wire: Application__Output | null): Application {
  if (wire === null) throw new Error('the service answered no application');
  const { applicationId, description, strictIds } = wire;
  return { applicationId, description, strictIds, createTime: fromWireTime(wire.createTime) };
}

export function fromWireApiKey(wire: ApiKey__Output | null): ApiKey {
  if (wire === null) throw new Error('the service answered no key');
  return {
    keyId: wire.keyId,
    applicationId: wire.applicationId,
    scopes: fromWireScopes(wire.scopes),
    description: wire.description,
    createTime: fromWireTime(wire.createTime),
    revokeTime: fromWireTime(wire.revokeTime),
  };
}

export function fromWireScopes(wire: readonly Scope__Output[]): readonly Scope[] {
  return wire.map((scope) => scope.replace('SCOPE_', '') as Scope);
}
