import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startTestGateway } from './support/gateway.js';
import { GatewayHttp } from './support/gateway-http.js';
import { startTestService, type TestService } from './support/service.js';

/** Which keys an instrumented program needs, which creates its type at each start. */

const BOOTSTRAP_KEY = randomUUID();
const TYPE = { name: 'Summary', description: 'Summarises a document' };

let service: TestService;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let http: GatewayHttp;
beforeAll(async () => {
  service = await startTestService({ bootstrapKey: BOOTSTRAP_KEY });
  gateway = await startTestGateway({ serviceAddress: service.address, apiKey: BOOTSTRAP_KEY });
  http = await GatewayHttp.open(gateway.url);
  await service.client.types.create({ ...TYPE, limitConfig: { maxCost: '1' } });
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

async function create(body: object, ...scopes: readonly ('READ' | 'RECORD' | 'ADMIN')[]) {
  const { keyText } = await service.client.admin.createKey({ scopes });
  const { status } = await http.call('POST', '/experiences/types', {
    body,
    headers: { 'xProxy-api-key': keyText },
  });
  return status;
}

describe('a type that is there is created again', () => {
  test('by a key that reads and records', async () => {
    expect(await create(TYPE, 'READ', 'RECORD')).toBe(200);
  });

  test('but not with another content, and no other type is made', async () => {
    expect(await create({ ...TYPE, description: 'Another' }, 'READ')).toBe(403);
    expect(await create({ ...TYPE, name: 'Other' }, 'READ')).toBe(403);
  });

  test('nor by a key that may not look at it', async () => {
    expect(await create(TYPE, 'RECORD')).toBe(403);
  });
});
