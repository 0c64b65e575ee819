import type { ServiceDefinition } from '@grpc/grpc-js';
import { Fault } from '../domain/fault.js';

/**
 * The same service, but a request whose bytes are no message of the contract reaches the handler, to be refused by
 * {@link readableRequest}: by itself grpc-js answers it INTERNAL, as if the fault were ours.
 */
export function withUnreadableRequests(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        return method.requestDeserialize(bytes);
      } catch {
        return UNREADABLE; // Whatever the decoder says is of its own inside.
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods);
}

export function readableRequest<Request>(request: Request): Request {
  if ((request as unknown) !== UNREADABLE) return request;
  throw new Fault('INVALID_FIELDS', 'The request cannot be read as a message of the contract.');
}

const UNREADABLE = Symbol('a request that cannot be read');
