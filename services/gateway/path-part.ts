import type { FastifyRequest } from 'fastify';

/** A parameter of the path, decoded. That the route has none of this name is a bug. */
export function pathPart(request: FastifyRequest, name: string): string {
  const { params } = request;
  const value: unknown =
    typeof params === 'object' && params !== null
      ? Object.getOwnPropertyDescriptor(params, name)?.value
      : undefined;
  if (typeof value !== 'string') throw new Error(`the path has no part '${name}'`);
  return value;
}
