import { randomUUID } from 'node:crypto';
import { type Db, Decimal128, Long, MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runCommandLine } from '../services/cli/command-line.js';
import type { BookDifference, BookSummary } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { startTestService, type TestService } from './support/service.js';

const HOUR = new Date('2026-03-04T05:10:00Z');
const call = {
  provider: 'openai',
  model: 'gpt-4o-mini',
  units: { text: { input: 1_000, output: 500 } },
  eventTime: HOUR,
};
/** What one call costs: 1,000 in at 0.00000015 and 500 out at 0.0000006. */
const COST = '0.00045';

let service: TestService;
let db: Db;
const mongo = new MongoClient(inject('mongodbUri'));
beforeAll(async () => {
  service = await startTestService();
  db = mongo.db(service.options.databaseName);
});
afterAll(async () => {
  await service.stop();
  await mongo.close();
});

test('probe', async () => {
  await service.client.types.create({ name: 'Summary', description: 'x' });
  const experienceId = newUuid();
  await service.client.usage.record({ ...call, experienceId, experienceType: 'Summary' });
  await service.client.usage.record({ ...call, experienceId, operationKey: 'a' });
  await service.client.usage.record({ ...call, operationKey: 'a' });
  for (const deep of [false, true]) {
    for await (const m of service.client.admin.verify({ deep })) console.log(m);
  }
});
