import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { OPENAPI_PARTS, openApiDocument } from '../services/gateway/openapi/openapi-document.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp } from './support/gateway-http.js';

let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let document: z.infer<typeof DOCUMENT>;
let text: string;
beforeAll(async () => {
  // No service is needed: nothing here calls it.
  gateway = await startTestGateway({ serviceAddress: '127.0.0.1:9' });
  const answer = await fetch(`${gateway.url}/api/v1/openapi.json`);
  text = await answer.text();
  document = DOCUMENT.parse(JSON.parse(text));
});
afterAll(async () => gateway.stop());

const OPERATION = z.object({
  operationId: z.string().min(1),
  summary: z.string().min(1),
  tags: z.array(z.string()).min(1),
  parameters: z.array(z.object({ name: z.string(), in: z.string(), required: z.boolean() })).optional(),
  responses: z.record(z.string(), z.object({ description: z.string().min(1) })),
});
const DOCUMENT = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(z.string(), z.record(z.string(), OPERATION)),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

function operations(): readonly (readonly [
  route: string,
  path: string,
  operation: z.infer<typeof OPERATION>,
])[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const route = `${method.toUpperCase()} /api/v1${path.replace(/\{\w+\}/g, '{}')}`;
      return [route, path, operation] as const;
    }),
  );
}

test('the document names every route, and no other', () => {
  const registered = gateway.routes.map((route) => route.replace(/:\w+/g, '{}'));
  expect(new Set(registered).size).toBe(registered.length);
  expect(
    operations()
      .map(([route]) => route)
      .sort(),
  ).toEqual([...registered].sort());
});

test('each operation has an id of its own and says which parts its path has', () => {
  const ids = operations().map(([, , { operationId }]) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [route, path, { parameters = [] }] of operations()) {
    const stated = parameters.filter((each) => each.in === 'path');
    expect([route, stated.map(({ name }) => name)]).toEqual([
      route,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    ]);
    expect(stated.every(({ required }) => required)).toBe(true);
  }
});

test('every schema that is pointed to is there, and every one that is there is pointed to', () => {
  const pointed = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
  expect([...new Set(pointed)].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

test('no two groups describe the same path or name the same schema', () => {
  for (const kind of ['paths', 'schemas'] as const) {
    const names = OPENAPI_PARTS.flatMap((part) => Object.keys(part[kind]));
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  }
});

test('it is the one that the code makes, and an answer that differs from it is found', async () => {
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
  const liar = await GatewayHttp.open(gateway.url);
  const health = await liar.call('GET', '/health');
  expect(health.body).toEqual({ status: 'ok' });
  expect(() => liar.check('GET', '/api/v1/health', 200, { status: 'so so' })).toThrow('does not say');
  expect(() => liar.check('GET', '/api/v1/nowhere', 404, { error: 'x' })).toThrow('does not say');
});
