import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { UUID } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ExperiencesClient,
  ExperiencesError,
  type UsageEstimate,
  type UsageRecord,
} from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { type Mutant, type Mutation, makeMutant } from './support/mutant.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { type ReplyCutter, startReplyCutter } from './support/reply-cutter.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { StormCallers } from './support/storm-callers.js';
import { expectNoDifference, expectVerified } from './support/verified.js';

const EXPERIENCES = 4;
const OPERATIONS = 2;
const TYPES = ['Summary', 'Chat'];
const FIXED_SEED = 20_261_124;

/** What a caller says of a call. */
interface Call {
  /** undefined: unattributed. */
  readonly experience: number | undefined;
  readonly type: number | undefined;
  readonly operation: number | undefined;
  readonly succeeded: boolean;
  /** Of a model that has no price until a repricing. */
  readonly unpriced: boolean;
  readonly tokens: number;
  /** Which of the two limits it names. */
  readonly limits: readonly number[];
}

type Estimate = 'units' | 'cost' | 'none';

type Step =
  | { readonly do: 'record'; readonly call: Call }
  | { readonly do: 'batch' | 'stream'; readonly calls: readonly Call[] }
  | { readonly do: 'again'; readonly pick: number }
  | { readonly do: 'create'; readonly experience: number; readonly type: number }
  | { readonly do: 'delete'; readonly experience: number }
  | { readonly do: 'reserve'; readonly call: Call; readonly estimate: Estimate }
  /** Of a call that was reserved, or whose id was released before it was. */
  | { readonly do: 'settle' | 'release' | 'expire' | 'reserve again'; readonly pick: number }
  | { readonly do: 'release first'; readonly call: Call }
  | { readonly do: 'sweep' }
  | { readonly do: 'reset'; readonly limit: number }
  | { readonly do: 'reprice' | 'repair' };

/** Steps that are taken at once, and what befalls the service or the store in the middle of them. */
interface Wave {
  readonly steps: readonly Step[];
  readonly trouble: 'none' | 'cut' | 'insert' | 'update' | 'commitTransaction';
  readonly times: number;
}

interface Story {
  readonly waves: readonly Wave[];
  /** In the middle of which wave the service is killed; undefined: in none. */
  readonly crash: number | undefined;
  readonly crashAfterMs: number;
}

const anyCall: fc.Arbitrary<Call> = fc.record({
  experience: fc.option(fc.nat(EXPERIENCES - 1), { nil: undefined, freq: 6 }),
  type: fc.option(fc.nat(TYPES.length - 1), { nil: undefined, freq: 1 }),
  operation: fc.option(fc.nat(OPERATIONS - 1), { nil: undefined, freq: 1 }),
  succeeded: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
  unpriced: fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, fc.constant(true)),
  tokens: fc.integer({ min: 1, max: 50_000 }),
  limits: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.subarray([0, 1])),
});
const calls = fc.array(anyCall, { minLength: 2, maxLength: 12 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('record' as const), call: anyCall }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('batch' as const, 'stream' as const), calls }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('again' as const), pick: fc.nat(1_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      experience: fc.nat(EXPERIENCES - 1),
      type: fc.nat(TYPES.length - 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('reprice' as const, 'repair' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      call: anyCall,
      estimate: fc.constantFrom<Estimate>('units', 'units', 'cost', 'none'),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constantFrom('settle', 'settle', 'settle', 'release', 'expire', 'expire', 'reserve again'),
      pick: fc.nat(1_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release first' as const), call: anyCall }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), limit: fc.nat(1) }) },
);
/** Rare, and of one experience only, so that the others go on. */
const anyDeletion: fc.Arbitrary<Step> = fc.constant({ do: 'delete', experience: EXPERIENCES - 1 });
const anyWave: fc.Arbitrary<Wave> = fc.record({
  steps: fc.array(fc.oneof({ weight: 30, arbitrary: anyStep }, anyDeletion), { minLength: 2, maxLength: 8 }),
  trouble: fc.constantFrom('none', 'cut', 'insert', 'update', 'commitTransaction', 'commitTransaction'),
  times: fc.integer({ min: 1, max: 3 }),
});
const anyStory: fc.Arbitrary<Story> = fc.record({
  waves: fc.array(anyWave, { minLength: 8, maxLength: 12 }),
  crash: fc.option(fc.nat(6), { nil: undefined, freq: 1 }),
  crashAfterMs: fc.nat(40),
});

let mongod: OwnMongod;
beforeAll(async () => {
  mongod = await startOwnMongod();
});
afterAll(() => mongod.stop());

describe('whatever happens at once, and whatever breaks in the middle,', () => {
  test.each([
    ['a fixed seed', FIXED_SEED, 4],
    ['a fresh seed', randomInt(2 ** 31), 3],
  ])(
    'the books balance and callers were told what is stored: %s, %i',
    async (_what, seed, numRuns) => {
      process.stderr.write(`interleavings: seed ${seed}\n`);
      const system = await System.start(mongod);
      try {
        await fc.assert(propertyOf(system), { seed, numRuns, endOnFailure: true });
      } finally {
        await system.stop();
      }
    },
    120_000,
  );
});

describe('the same property finds a ledger', () => {
  test.each<[what: string, mutation: Mutation, finder: RegExp]>([
    [
      'that updates rollups outside of the transaction',
      {
        path: 'ledger/book-deltas.ts',
        from: 'this.rollups.updates(lane), transaction)',
        to: 'this.rollups.updates(lane), { ...transaction, session: undefined })',
      },
      /expectRollups|expectNoDifference/,
    ],
    [
      'that adds what it finds to be a duplicate',
      {
        path: 'ledger/book-deltas.ts',
        from: 'for (const { application, before, after } of plan.changes) {',
        to: `for (const outcome of plan.outcomes) {
          if (outcome.kind !== 'event' || !outcome.duplicate) continue;
          deltas.rollups.add('default', outcome.event);
        }
        for (const { application, before, after } of plan.changes) {`,
      },
      /expectRollups|expectNoDifference/,
    ],
    [
      'whose experiences leave no bucket when they grow',
      {
        path: 'ledger/book-deltas.ts',
        from: 'if (eventCount > 0n) this.histograms.leave(place, cost.total);',
        to: '',
      },
      /expectRollups|expectNoDifference/,
    ],
    [
      'that answers before it has committed',
      {
        path: 'ledger/transaction.ts',
        from: 'await commit(session, deadline);\n      return result;',
        to: `const late = commit(session, deadline).catch(() => undefined);
        session.endSession = () => late;
        return result;`,
      },
      /expectTold/,
    ],
    [
      'whose retries apply what the attempt before did too',
      {
        path: 'ledger/book-deltas.ts',
        from: 'const deltas = new BookDeltas(plan.limits);\n    for (const { application, experience } of plan.newExperiences)',
        to: `const kept = (globalThis.keptDeltas ??= new WeakMap());
        const deltas = kept.get(facts.states) ?? new BookDeltas(plan.limits);
        kept.set(facts.states, deltas);
        for (const { application, experience } of plan.newExperiences)`,
      },
      /expectRollups|expectNoDifference/,
    ],
    [
      'whose limits hold on when a call settles its reservation',
      {
        path: 'ledger/planned-batch.ts',
        from: "if (reservation.state === 'OPEN') this.limits.deltas.release(application, reservation);",
        to: '',
      },
      /expectHoldsAndLimits|expectNoDifference/,
    ],
    [
      'whose experiences hold on when a call settles its reservation',
      {
        path: 'ledger/book-deltas.ts',
        from: 'deltas.experiences.reserve(application, before, after);',
        to: 'if (before === undefined) deltas.experiences.reserve(application, before, after);',
      },
      /expectHoldsAndLimits|expectNoDifference/,
    ],
    [
      'that charges a settled call in the period of its record',
      {
        path: 'ledger/plan-reservations.ts',
        from: 'charges: reservation.charges,\n    reservation,',
        to: `charges: chargesOf(batch.limits.applicable(application, record.attribution.limitIds, place, 'made')),
        reservation,`,
      },
      /expectHoldsAndLimits|expectNoDifference/,
    ],
    [
      'whose limits keep an estimate beside the cost that takes its place',
      {
        path: 'ledger/limit-deltas.ts',
        from: 'delta.count(before, -1n);',
        to: '',
      },
      /expectHoldsAndLimits|expectNoDifference/,
    ],
  ])(
    '%s',
    async (_what, mutation, finder) => {
      const mutant = await makeMutant(mutation);
      const system = await System.start(mongod, mutant);
      try {
        const details = await fc.check(propertyOf(system), {
          seed: FIXED_SEED,
          numRuns: MUTANT_RUNS,
          endOnFailure: true,
        });
        expect(details.failed).toBe(true);
        // By what it is wrong in, and not because it did not start.
        expect(details.errorInstance).toMatchObject({
          name: 'AssertionError',
          stack: expect.stringMatching(finder),
        });
      } finally {
        await system.stop();
        await mutant.remove();
      }
    },
    120_000,
  );
});

test('a copy of the sources without a change is no mutant, and one whose text is not found is none at all', async () => {
  const copy = await makeMutant();
  const system = await System.start(mongod, copy);
  try {
    await fc.assert(propertyOf(system), { seed: FIXED_SEED, numRuns: 1, endOnFailure: true });
  } finally {
    await system.stop();
    await copy.remove();
  }
  const nowhere = { path: 'ledger/plan.ts', from: 'what no source holds', to: '' };
  await expect(makeMutant(nowhere)).rejects.toThrow('does not hold once: what no source holds');
}, 60_000);

function propertyOf(system: System): fc.IAsyncProperty<[Story]> {
  return fc.asyncProperty(anyStory, (story) => new Telling(system).tell(story));
}

/** A service in a process of its own behind a line that can be cut, on a database of its own. */
class System {
  readonly mongod: OwnMongod;
  readonly databaseName: string;
  readonly client: ExperiencesClient;
  readonly #root: string | undefined;
  readonly #line: ReplyCutter;
  #service: ServiceProcess;

  static async start(mongod: OwnMongod, mutant?: Mutant): Promise<System> {
    const databaseName = `test_${randomUUID().slice(0, 8)}`;
    const root = mutant?.root;
    const service = await startServiceProcess({
      mongodbUri: mongod.uri,
      databaseName,
      ...(root && { root }),
    });
    const line = await startReplyCutter(Number(service.address.split(':')[1]));
    const system = new System(mongod, databaseName, root, service, line);
    for (const name of TYPES) {
      const limitConfig = name === 'Chat' ? { type: 'BLOCK' as const, maxCost: '0.03' } : undefined;
      await system.client.types.create({ name, description: name, ...(limitConfig && { limitConfig }) });
    }
    return system;
  }

  private constructor(
    mongod: OwnMongod,
    databaseName: string,
    root: string | undefined,
    service: ServiceProcess,
    line: ReplyCutter,
  ) {
    this.mongod = mongod;
    this.databaseName = databaseName;
    this.#root = root;
    this.#service = service;
    this.#line = line;
    this.client = new ExperiencesClient({ address: `127.0.0.1:${line.port}`, timeoutMs: 40_000 });
  }

  /** Loses the next answer to something that holds the text. */
  cut(text: string): void {
    this.#line.cut(text, 1);
  }

  calm(): void {
    this.#line.cut('', 0);
  }

  async crash(): Promise<void> {
    this.#service.kill('SIGKILL');
    await this.#service.exited;
    this.#service = await startServiceProcess({
      mongodbUri: this.mongod.uri,
      databaseName: this.databaseName,
      listen: this.#service.address,
      ...(this.#root && { root: this.#root }),
    });
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.#line.stop();
    this.#service.kill('SIGKILL');
    await this.#service.exited;
  }
}

/** Takes the steps of a story, on experiences of its own, and looks at the books after it. */
class Telling {
  readonly #system: System;
  readonly #callers = new StormCallers();
  readonly #experiences = Array.from({ length: EXPERIENCES }, () => newUuid());
  readonly #operations = Array.from({ length: OPERATIONS }, () => newUuid());
  /** Whose calls have no price until it is made. */
  readonly #provider = `own-${randomUUID().slice(0, 8)}`;
  readonly #priceId = newUuid();
  /** Ids of such calls; what they cost may change. */
  readonly #unpriced = new Set<string>();
  /** In the order they were made. */
  readonly #made: (UsageRecord & { readonly eventId: string })[] = [];
  /**
   * Calls whose reservation was answered, and what was estimated: what comes of each is left to chance. One that is being
   * reserved is in no other step: a call is not made before that is answered.
   */
  readonly #reserved: Reserved[] = [];
  /** One that allows and one that blocks. */
  #limits: readonly string[] = [];

  constructor(system: System) {
    this.#system = system;
  }

  async tell({ waves, crash, crashAfterMs }: Story): Promise<void> {
    const { mongod, client, databaseName } = this.#system;
    this.#limits = await this.#createLimits();
    try {
      for (const [index, wave] of waves.entries()) {
        if (wave.trouble === 'cut') this.#system.cut('large');
        else if (wave.trouble !== 'none')
          await mongod.fail({ failCommands: [wave.trouble], ...CONFLICT }, wave.times);
        const recorder = client.usage.recorder();
        const taken = Promise.all(wave.steps.map((step) => this.#take(step, recorder)));
        if (index === crash) {
          await sleep(crashAfterMs);
          await Promise.all([this.#system.crash(), taken]);
        }
        await taken;
        await recorder.close();
      }
    } finally {
      await mongod.failNothing();
      this.#system.calm();
    }
    await this.#callers.resend(client);
    await this.expectTold();
    const books = await expectBooks(mongod.client, databaseName, {
      sent: undefined,
      told: this.#callers.told,
    });
    await expectVerified(client);
    const stored = new Set(books.events.map(({ id }) => id));
    expect([...this.#callers.refused.keys()].filter((id) => stored.has(id))).toEqual([]);
  }

  /** Everything is answered, what was told to be recorded is, and it costs what was told. */
  async expectTold(): Promise<void> {
    expect(this.#callers.unanswered()).toEqual([]);
    const first = new Map([...this.#callers.told].map(([id, { cost }]) => [id, cost.total]));
    expect(await this.#callers.recordedAnew(this.#system.client)).toEqual([]);
    for (const [id, { cost }] of this.#callers.told) {
      if (!this.#unpriced.has(id)) expect([id, cost.total]).toEqual([id, first.get(id)]);
    }
    expect([...this.#callers.refused.values()].filter(({ reason = '' }) => !REFUSALS.has(reason))).toEqual(
      [],
    );
  }

  async #take(step: Step, recorder: ReturnType<ExperiencesClient['usage']['recorder']>): Promise<void> {
    const { client } = this.#system;
    switch (step.do) {
      case 'record':
        return this.#callers.record(client, this.#recordOf(step.call));
      case 'batch':
        return this.#callers.batch(
          client,
          step.calls.map((call) => this.#recordOf(call)),
        );
      case 'stream':
        return this.#callers.stream(
          recorder,
          step.calls.map((call) => this.#recordOf(call)),
        );
      case 'again': {
        const record = this.#made[step.pick % (this.#made.length || 1)];
        return record && this.#callers.record(client, record);
      }
      case 'create':
        return refusable(
          client.experiences.create({
            experienceType: TYPES[step.type] ?? '',
            experienceId: this.#experiences[step.experience] ?? '',
          }),
        );
      case 'delete':
        return refusable(client.experiences.delete(this.#experiences[step.experience] ?? ''));
      case 'reprice':
        return this.#reprice();
      case 'repair':
        return expectNothingToRepair(client);
      case 'reserve':
        return this.#reserve({ record: this.#recordOf(step.call), estimate: ESTIMATES[step.estimate] });
      case 'release first': {
        const record = this.#recordOf(step.call);
        await client.usage.release(record.eventId);
        this.#reserved.push({ record, estimate: undefined });
        return;
      }
      case 'sweep':
        return void (await client.admin.sweepReservations());
      case 'reset':
        return void (await client.limits.reset(this.#limits[step.limit] ?? ''));
      case 'settle':
      case 'release':
      case 'expire':
      case 'reserve again':
        return this.#endOne(step.do, this.#reserved[step.pick % (this.#reserved.length || 1)]);
      default:
        return step satisfies never;
    }
  }

  async #createLimits(): Promise<readonly string[]> {
    const name = randomUUID();
    const { limits } = this.#system.client;
    const allowing = await limits.create({ name: `${name} allows`, maxCost: '0.01' });
    const blocking = await limits.create({ name: `${name} blocks`, maxCost: '0.05', type: 'BLOCK' });
    return [allowing.limit.limitId, blocking.limit.limitId];
  }

  async #reserve(wanted: Reserved): Promise<void> {
    const { units: _units, eventTime: _eventTime, outcome: _outcome, ...facts } = wanted.record;
    const estimate = wanted.estimate === undefined ? {} : { estimate: wanted.estimate };
    await refusable(
      this.#system.client.usage.reserve({ ...facts, ...estimate }).then(() => {
        if (!this.#reserved.includes(wanted)) this.#reserved.push(wanted);
      }),
    );
  }

  async #endOne(
    how: 'settle' | 'release' | 'expire' | 'reserve again',
    reserved: Reserved | undefined,
  ): Promise<void> {
    if (reserved === undefined) return;
    const { client, mongod, databaseName } = this.#system;
    const { eventId } = reserved.record;
    switch (how) {
      case 'settle':
        return this.#callers.record(client, reserved.record);
      case 'release':
        return void (await client.usage.release(eventId));
      case 'reserve again':
        return this.#reserve(reserved);
      case 'expire': {
        // As if its time were over; the next sweep finds it.
        const open = { _id: { a: 'default', e: new UUID(eventId) }, s: 'o' } as object;
        const reservations = mongod.client.db(databaseName).collection('reservations');
        return void (await reservations.updateOne(open, { $set: { u: new Date(0) } }));
      }
      default:
        return how satisfies never;
    }
  }

  async #reprice(): Promise<void> {
    const { client } = this.#system;
    await client.prices.create({
      ...{ provider: this.#provider, model: 'large', priceId: this.#priceId, effectiveTime: new Date(0) },
      rates: { text: { input: { base: '0.000002' }, output: { base: '0.00001' } } },
    });
    await client.prices.repriceUnpriced({ provider: this.#provider });
  }

  #recordOf({ experience, type, operation, succeeded, unpriced, tokens, limits }: Call) {
    const experienceId = experience === undefined ? undefined : this.#experiences[experience];
    const experienceType = type === undefined || experience === undefined ? undefined : TYPES[type];
    const operationKey = operation === undefined ? undefined : this.#operations[operation];
    const record = {
      eventId: newUuid(),
      ...(unpriced
        ? { provider: this.#provider, model: 'large' }
        : { provider: 'openai', model: 'text-embedding-3-large' }),
      units: { text: { input: tokens } },
      eventTime: new Date(NOW - (tokens % 7) * 3_600_000),
      ...(experienceId && { experienceId }),
      ...(experienceType && { experienceType }),
      ...(operationKey && { operationKey }),
      ...(succeeded ? {} : { outcome: 'FAILED' as const }),
      ...(limits.length === 0 ? {} : { limitIds: limits.map((index) => this.#limits[index] ?? '') }),
    };
    if (unpriced) this.#unpriced.add(record.eventId);
    this.#made.push(record);
    return record;
  }
}

interface Reserved {
  readonly record: UsageRecord & { readonly eventId: string };
  readonly estimate: UsageEstimate | undefined;
}

const ESTIMATES: Readonly<Record<Estimate, UsageEstimate | undefined>> = {
  units: { maxInputTokens: 40_000, maxOutputTokens: 0 },
  cost: { cost: '0.004' },
  none: undefined,
};

/** Of books that balance, whatever is written to them meanwhile; unless the service or the line fails. */
async function expectNothingToRepair(client: ExperiencesClient): Promise<void> {
  await expectNoDifference(client.admin.repair({ apply: true })).catch((error: unknown) => {
    if (!(error instanceof ExperiencesError)) throw error;
  });
}

/** What the state of an experience may forbid. */
async function refusable(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof ExperiencesError)) throw error;
    expect(error.reason).toBeOneOf([...REFUSALS]);
  });
}

const CONFLICT = { errorCode: 112, errorLabels: ['TransientTransactionError'] };
const REFUSALS = new Set(['EXPERIENCE_NOT_FOUND', 'EXPERIENCE_ALREADY_EXISTS', 'LIMIT_REACHED']);
const MUTANT_RUNS = 8;
const NOW = Date.now();
