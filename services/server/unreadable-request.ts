import type { ServiceDefinition } from '@grpc/grpc-js';
import { Fault } from '../domain/fault.js';
import { type CheckRoom, type ItemLimits, withinLimits } from './item-limits.js';

/**
 * The same service, but a request whose bytes are no message of the contract, or hold more items than they may, reaches
 * the handler, to be refused by {@link readableRequest}: by itself grpc-js answers it INTERNAL, as if the fault were ours.
 * Items are counted before they are decoded, because a message of empty ones takes hundreds of times its size, and what
 * there is no room for is not decoded at all.
 */
export function withUnreadableRequests(
  service: ServiceDefinition,
  limits: Readonly<Record<string, ItemLimits>>,
  checkRoom: CheckRoom,
): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => {
    const ofMethod = limits[name];
    const decode = (bytes: Buffer): unknown => method.requestDeserialize(bytes);
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        return ofMethod === undefined ? decode(bytes) : withinLimits(bytes, ofMethod, checkRoom, decode);
      } catch (error) {
        return error instanceof Fault ? new Unreadable(error) : UNREADABLE; // What the decoder says is of its own inside.
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods);
}

export function readableRequest<Request>(request: Request): Request {
  if (request instanceof Unreadable) throw request.fault;
  return request;
}

/** Stands in the place of a request, up to the handler that refuses it. */
class Unreadable {
  readonly fault: Fault;

  constructor(fault: Fault) {
    this.fault = fault;
  }
}

const UNREADABLE = new Unreadable(
  new Fault('INVALID_FIELDS', 'The request cannot be read as a message of the contract.'),
);
