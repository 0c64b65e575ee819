import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { newUuid } from '../services/domain/new-uuid.js';
import { parseUuid } from '../services/domain/uuid.js';
import type { Entry } from '../services/ledger/entry.js';
import { readFacts } from '../services/ledger/read-facts.js';
import { Store } from '../services/ledger/store.js';
import { inTransaction } from '../services/ledger/transaction.js';
import { eventEntry, experienceEntry } from './support/entries.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let store: Store;
beforeAll(async () => {
  service = await startTestService();
  store = new Store(inject('mongodbUri'), service.options.databaseName);
  await service.client.types.create({ name: 'Summary', description: 'Summaries' });
  await service.client.types.create({ name: 'Capped', description: 'Capped', limitConfig: { maxCost: '1' } });
});
afterAll(async () => {
  await store.close();
  await service.stop();
});

const CALL = { provider: 'openai', model: 'gpt-4o-mini' };
const UNITS = { units: { text: { input: 1_000, output: 500 } } };
const ESTIMATE = { estimate: { maxInputTokens: 1_000, maxOutputTokens: 500 } };

/** Entries that lead to each other's things, and those things: what a commit reads of them in one command or in several. */
async function entangledEntries(): Promise<readonly Entry[]> {
  const { usage, experiences, limits } = service.client;
  const { limit } = await limits.create({ name: randomUUID(), maxCost: '5' });
  const made = async (experienceType: string) =>
    parseUuid((await experiences.create({ experienceType })).experience.experienceId) ?? newUuid();
  const [first, second, capped, empty] = [
    await made('Summary'),
    await made('Summary'),
    await made('Capped'),
    await made('Summary'),
  ];
  const [open, settled, released, recorded, gone] = [newUuid(), newUuid(), newUuid(), newUuid(), newUuid()];
  const operationKey = 'step';
  await usage.reserve({ ...CALL, ...ESTIMATE, eventId: open, experienceId: capped, operationKey });
  await usage.reserve({
    ...CALL,
    ...ESTIMATE,
    eventId: settled,
    experienceId: second,
    limitIds: [limit.limitId],
  });
  await usage.record({ ...CALL, ...UNITS, eventId: settled, experienceId: second, operationKey });
  await usage.reserve({ ...CALL, ...ESTIMATE, eventId: released, experienceId: first });
  await usage.release(released);
  await usage.record({ ...CALL, ...UNITS, eventId: recorded, experienceId: first, operationKey });
  await usage.record({ ...CALL, ...UNITS, experienceId: capped, operationKey });
  await usage.record({ ...CALL, ...UNITS, operationKey });
  const time = new Date();
  return [
    eventEntry({ eventId: open, experienceId: first, operationKey }),
    eventEntry({ eventId: settled, experienceType: 'Summary' }),
    eventEntry({ eventId: released }),
    eventEntry({ eventId: recorded, experienceId: second, operationKey }),
    eventEntry({ experienceId: 'no uuid', operationKey }),
    eventEntry({ operationKey }),
    eventEntry({ application: 'other', eventId: recorded, experienceId: first }),
    experienceEntry({ type: 'Summary', experienceId: empty }),
    { kind: 'release', application: 'default', eventId: settled, time },
    { kind: 'sweep', application: 'default', eventId: open, experienceId: capped, time },
    { kind: 'release', application: 'default', eventId: gone, time },
  ];
}

test.each([
  ['of entries as they are', false],
  ['when events are looked up first', true],
])('what is read together is what is read apart, %s', async (_what, lookUp) => {
  const entries = await entangledEntries();
  // All at once, and each alone: what leads to a thing in one entry must not be what finds it for another.
  for (const some of [entries, ...entries.map((entry) => [entry])]) {
    const read = (together: boolean) =>
      inTransaction(store, Date.now() + 9_000, async (transaction) => {
        const { revisions, facts } = await readFacts(store, some, { lookUp, together }, transaction);
        const { unitKinds, reserving } = revisions;
        const ofApplications = ['default', 'other'].map((application) => ({
          ...revisions.of(application),
          unitKinds: unitKinds.get(application),
        }));
        const { events, experiences, useful, reservations, limits } = facts;
        return { ofApplications, reserving, events, experiences, useful, reservations, limits };
      });
    const [apart, together] = [await read(false), await read(true)];
    expect(together.ofApplications[0]).toEqual(apart.ofApplications[0]);
    expect(together).toMatchObject(apart);
    expect(sizesOf(together)).toEqual(sizesOf(apart));
  }
});

function sizesOf(facts: object): readonly (readonly [string, number])[] {
  return Object.entries(facts).map(([name, value]) => [name, value.size ?? value.length]);
}
