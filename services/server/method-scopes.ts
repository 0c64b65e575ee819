import type { ServiceDefinition } from '@grpc/grpc-js';
import { contract } from '../contract/contract.js';
import { SCOPES, type Scope } from '../domain/api-key.js';

/** What a method needs by its path; NONE: any valid key may call it. A path that is not here may be called by nobody. */
export type MethodScopes = ReadonlyMap<string, Scope | 'NONE'>;

/** As the contract's option `required_scope` says. */
export function methodScopes(services: readonly ServiceDefinition[] = SERVICES): MethodScopes {
  const scopes = new Map<string, Scope | 'NONE'>();
  for (const service of services) {
    for (const method of Object.values(service)) {
      // The loader adds the method's options, which grpc-js does not know of.
      const { options } = method as { readonly options?: Readonly<Record<string, unknown>> };
      const stated = options?.['(required_scope)'];
      const scope = STATABLE.find((candidate) => stated === `SCOPE_${candidate}`);
      if (scope !== undefined) scopes.set(method.path, scope);
    }
  }
  return scopes;
}

const STATABLE = [...SCOPES, 'NONE'] as const;
const SERVICES = Object.values(contract).flatMap((member) => ('service' in member ? [member.service] : []));
