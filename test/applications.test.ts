import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { type ExperiencesClient, ExperiencesError } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { startServer } from '../services/server/server.js';
import { DOCUMENT_CHATBOT, DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import { scheduleId } from '../workflows/housekeeping-schedules.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

const BOOTSTRAP_KEY = 'a-bootstrap-key-of-at-least-32-characters';
const admin = contract.AdminService.service;

let service: TestService;
let operator: ExperiencesClient;
beforeAll(async () => {
  service = await startTestService({ bootstrapKey: BOOTSTRAP_KEY });
  operator = service.client;
});
afterAll(() => service.stop());

/** A new application, by the bootstrap key. */
async function newApplication(): Promise<{ readonly id: string; readonly client: ExperiencesClient }> {
  const id = `app-${randomUUID().slice(0, 8)}`;
  await operator.admin.createApplication({ applicationId: id });
  return { id, client: clientOf(id) };
}

function clientOf(application: string): ExperiencesClient {
  return operator.as({ apiKey: BOOTSTRAP_KEY, application });
}

describe('an application', () => {
  test('default is always there', async () => {
    const found = await operator.admin.getApplication();
    expect(found).toEqual({
      applicationId: 'default',
      description: '',
      strictIds: false,
      createTime: expect.any(Date),
    });
    expect(await operator.admin.createApplication({ applicationId: 'default' })).toEqual({
      application: found,
      alreadyExisted: true,
    });
  });

  test('created again answers the same; with other content it is refused', async () => {
    const wanted = { applicationId: 'team-a', description: 'Team A', strictIds: true };
    const created = await operator.admin.createApplication(wanted);
    expect(created).toEqual({
      application: { ...wanted, createTime: expect.any(Date) },
      alreadyExisted: false,
    });
    expect(await operator.admin.createApplication(wanted)).toEqual({ ...created, alreadyExisted: true });
    for (const other of [{ description: 'Team B' }, { strictIds: false }]) {
      const error = await refusal(operator.admin.createApplication({ ...wanted, ...other }));
      expect(error).toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'APPLICATION_ALREADY_EXISTS',
        metadata: { application_id: 'team-a' },
      });
    }
  });

  test.each(['', 'x'.repeat(33), 'Team', 'team_a', 'team a', 'équipe', '../a', '$ne', 'a\n'])(
    'has an id of a-z, 0-9 and - : %j is refused',
    async (applicationId) => {
      const error = await refusal(operator.admin.createApplication({ applicationId }));
      expect(error.violations.map(({ field }) => field)).toEqual(['application_id']);
    },
  );

  test('is changed by whoever administrates it, field by field', async () => {
    const { id, client } = await newApplication();
    const { keyText } = await client.admin.createKey({ scopes: ['ADMIN'] });
    const own = operator.as({ apiKey: keyText });
    expect(await own.admin.updateApplication(id, { description: 'Ours' })).toMatchObject({
      description: 'Ours',
      strictIds: false,
    });
    expect(await operator.admin.updateApplication(id, { strictIds: true })).toMatchObject({
      description: 'Ours',
      strictIds: true,
    });
    expect(await own.admin.getApplication()).toMatchObject({ applicationId: id, strictIds: true });
    const raw = new RawClient(service.address);
    onTestFinished(() => raw.close());
    const metadata = [['xproxy-api-key', keyText]] as const;
    for (const paths of [[], ['application_id'], ['description', 'keys']]) {
      const update = raw.call(admin.UpdateApplication, { updateMask: { paths } }, { metadata });
      expect((await refusal(update)).violations.map(({ field }) => field)).toEqual(['update_mask']);
    }
  });

  test('lists itself alone; the bootstrap key lists all, page by page', async () => {
    const { id, client } = await newApplication();
    await newApplication();
    const { keyText } = await client.admin.createKey({ scopes: ['READ'] });
    const own = await readAll(operator.as({ apiKey: keyText }).admin.listApplications());
    expect(own.map(({ applicationId }) => applicationId)).toEqual([id]);
    const raw = new RawClient(service.address);
    onTestFinished(() => raw.close());
    const metadata = [['xproxy-api-key', BOOTSTRAP_KEY]] as const;
    const ids: string[] = [];
    let pageToken = '';
    do {
      const page = await raw.call(admin.ListApplications, { pageSize: 2, pageToken }, { metadata });
      expect(page.applications.length).toBeLessThanOrEqual(2);
      ids.push(...page.applications.map(({ applicationId }) => applicationId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(ids).toEqual([...ids].sort());
    expect(ids).toContain(id);
    expect(ids).toContain('default');
    expect(ids).not.toContain('');
  });

  test('decides for itself whether an experience id must be a UUID; the variable decides for default', async () => {
    const { id, client } = await newApplication();
    await client.types.create({ name: 'Feature', description: 'Any' });
    const create = (of: ExperiencesClient) =>
      of.experiences.create({ experienceType: 'Feature', experienceId: 'no uuid' });
    expect(await create(client)).toMatchObject({ idReplaced: true });
    await client.admin.updateApplication(id, { strictIds: true });
    expect(await refusal(create(client))).toMatchObject({ reason: 'INVALID_FIELDS' });

    await operator.types.create({ name: 'Feature', description: 'Any' });
    expect(await create(operator)).toMatchObject({ idReplaced: true });
    const strict = await startServer({ ...service.options, strictIds: true });
    onTestFinished(() => strict.stop());
    const raw = new RawClient(strict.address);
    onTestFinished(() => raw.close());
    const { CreateExperience } = contract.ExperienceService.service;
    const request = { experienceType: 'Feature', experienceId: 'no uuid' };
    const as = (application: string) =>
      raw.call(CreateExperience, request, {
        metadata: [
          ['xproxy-api-key', BOOTSTRAP_KEY],
          ['experiences-application', application],
        ],
      });
    expect(await refusal(as('default'))).toMatchObject({ reason: 'INVALID_FIELDS' });
    await client.admin.updateApplication(id, { strictIds: false });
    await waitUntil('the other process knows', () =>
      as(id).then(
        () => true,
        () => undefined,
      ),
    );
  });
});

describe('two applications', () => {
  test('have the same names, ids and event ids beside each other, each with books that balance', async () => {
    const applications = await Promise.all([newApplication(), newApplication()]);
    const [experienceId, eventId] = [randomUUID(), 'the same'];
    const amounts = [1_000n, 2_000n];
    await Promise.all(
      applications.map(async ({ client }, index) => {
        await client.types.create({ name: 'Feature', description: `Of ${index}` });
        await client.prices.create({
          provider: 'acme',
          model: 'one',
          rates: { text: { input: { base: index === 0 ? '0.001' : '0.01' } } },
        });
        // Side by side: they meet in the same commits.
        const records = Array.from({ length: 50 }, (_, n) => ({
          eventId: n === 0 ? eventId : `${n}`,
          experienceType: 'Feature',
          experienceId,
          provider: 'acme',
          model: 'one',
          units: { text: { input: amounts[index] ?? 0n } },
        }));
        await Promise.all(records.map((record) => client.usage.record(record)));
      }),
    );
    const totals = await Promise.all(
      applications.map(async ({ client }) => (await client.costs.get(experienceId)).totals),
    );
    expect(totals.map(({ cost, eventCount }) => [cost.total, eventCount])).toEqual([
      ['50', 50n],
      ['1000', 50n],
    ]);
    for (const { client } of applications) {
      const messages = await readAll(client.admin.verify({ deep: true }));
      expect(messages.at(-1)).toMatchObject({
        summary: { differenceCount: 0n, experienceCount: 1n, eventCount: expect.any(BigInt) },
      });
    }
  });

  test('are swept each for itself', async () => {
    const [first, second] = await Promise.all([newApplication(), newApplication()]);
    const eventId = 'the same';
    for (const { client } of [first, second]) {
      const reservation = { eventId, provider: 'openai', model: 'gpt-4o-mini', ttlMs: 1_000 };
      await client.usage.reserve({ ...reservation, estimate: { cost: '0.25' } });
    }
    for (const { client } of [first, second]) {
      await waitUntil('its time is over', async () => {
        const { unsettledCount } = await client.admin.sweepReservations();
        return unsettledCount === 1 ? true : undefined;
      });
      expect(await client.admin.sweepReservations()).toMatchObject({ unsettledCount: 0, settledCount: 0 });
    }
  });
});

describe('a worker', () => {
  let provider: TestProvider;
  beforeAll(async () => {
    provider = await startTestProvider();
  });
  afterAll(() => provider.stop());

  test('with the bootstrap key serves the runs of every application, each in the books of its own', async () => {
    const worker = await startTestWorker(service, provider, {
      serviceKey: BOOTSTRAP_KEY,
      housekeeping: true,
    });
    const temporal = new Client({
      connection: await Connection.connect({ address: inject('temporalAddress') }),
    });
    onTestFinished(async () => {
      for (const name of SCHEDULES) {
        const id = scheduleId(service.options.defaultTaskQueue, name);
        await temporal.schedule.getHandle(id).delete();
      }
      await worker.stop();
      await temporal.connection.close();
    });
    const applications = await Promise.all([newApplication(), newApplication()]);
    // The same ids: nothing but the application tells the runs apart.
    const [summaryId, conversationId] = [randomUUID(), randomUUID()];
    await Promise.all(
      applications.map(async ({ client }, index) => {
        await client.types.create(DOCUMENT_SUMMARIZATION);
        await client.types.create(DOCUMENT_CHATBOT);
        const text = index === 0 ? paragraphs(4) : paragraphs(8);
        const { documentId } = await client.documents.upload(text, { name: 'text' });
        await client.runs.start({
          experienceType: DOCUMENT_SUMMARIZATION.name,
          experienceId: summaryId,
          documentId,
          parameters: { chunkTokens: 300 },
        });
        const { turn } = await client.runs.ask({
          experienceId: conversationId,
          experienceType: DOCUMENT_CHATBOT.name,
          documentId,
          question: 'What is it about?',
        });
        expect(turn.answer).not.toBe('');
      }),
    );
    const [first, second] = await Promise.all(
      applications.map(async ({ client }) => {
        const run = await waitUntil(
          'the run has ended',
          async () => {
            const found = await client.runs.get(summaryId);
            return found.state === 'RUNNING' ? undefined : found;
          },
          60_000,
        );
        expect(run.state).toBe('COMPLETED');
        const { totals } = await client.costs.get(summaryId);
        const asked = await client.costs.get(conversationId);
        expect(asked.totals.eventCount).toBeGreaterThan(1n);
        expect(totals.openReservationCount).toBe(0n);
        return Number(totals.eventCount);
      }),
    );
    expect(first).toBeLessThan(second ?? 0);
    expect(await refusal(operator.costs.get(summaryId))).toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });

    // Housekeeping sees to all of them.
    const expiring = applications.map(({ client }) =>
      client.usage.reserve({
        eventId: 'expires',
        experienceId: summaryId,
        provider: 'openai',
        model: 'gpt-4o-mini',
        estimate: { cost: '0.25' },
        ttlMs: 1_000,
      }),
    );
    await Promise.all(expiring);
    const sweep = temporal.schedule.getHandle(
      scheduleId(service.options.defaultTaskQueue, 'sweepReservations'),
    );
    await waitUntil('both are closed', async () => {
      await sweep.trigger();
      const found = await Promise.all(applications.map(({ client }) => client.costs.get(summaryId)));
      return found.every(({ totals }) => totals.unsettledEventCount === 1n) ? true : undefined;
    });
  }, 120_000);

  test('with the key of an application serves its runs; those of others it may not touch', async () => {
    const own = await startTestService({
      ...service.options,
      listen: '127.0.0.1:0',
      defaultTaskQueue: `own-${randomUUID()}`,
    });
    onTestFinished(() => own.stop());
    const [ours, theirs] = await Promise.all([newApplication(), newApplication()]);
    const { keyText } = await ours.client.admin.createKey({ scopes: ['READ', 'RECORD'] });
    const worker = await startTestWorker(own, provider, { serviceKey: keyText });
    onTestFinished(() => worker.stop());
    const startFor = async ({ id }: { readonly id: string }) => {
      const client = own.client.as({ apiKey: BOOTSTRAP_KEY, application: id });
      await client.types.create(DOCUMENT_SUMMARIZATION);
      const { run } = await client.runs.start({
        experienceType: DOCUMENT_SUMMARIZATION.name,
        document: { name: 'text', content: paragraphs(2) },
      });
      return { client, run };
    };
    const [mine, foreign] = [await startFor(ours), await startFor(theirs)];
    await waitUntil(
      'our run has ended',
      async () => {
        const { state } = await mine.client.runs.get(mine.run.experienceId);
        return state === 'COMPLETED' ? true : undefined;
      },
      60_000,
    );
    expect(Number((await mine.client.costs.get(mine.run.experienceId)).totals.eventCount)).toBeGreaterThan(0);
    const { totals } = await foreign.client.costs.get(foreign.run.experienceId);
    expect(totals).toMatchObject({ eventCount: 0n, openReservationCount: 0n });
    await foreign.client.runs.cancel(foreign.run.experienceId);
  }, 120_000);
});

const SCHEDULES = ['sweepReservations', 'repriceUnpriced', 'verifySample'] as const;

/** What a call was refused with; it must be. */
async function refusal(call: Promise<unknown>): Promise<ExperiencesError> {
  const error = await call.then(
    () => new Error('the call was answered'),
    (reason: unknown) => reason,
  );
  if (error instanceof ExperiencesError) return error;
  throw error;
}
