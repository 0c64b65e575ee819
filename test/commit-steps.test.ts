import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { MixedCallers, type Record, type Way } from './support/mixed-callers.js';
import { expectAsSent, mixedRecords } from './support/mixed-records.js';
import { type CommandFailure, type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { type ReplyCutter, startReplyCutter } from './support/reply-cutter.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { expectVerifiedAt } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/**
 * The service is killed at each step of a commit, under a load of single calls, batches and a stream. A step is stood at
 * when the server has got the command of the next one and keeps it, so the service knows nothing of it.
 */

const databaseName = `test_${newUuid().slice(-12)}`;
const callers = new MixedCallers();
const anything = mixedRecords();
/** That an experience takes a type is a commit of its own, which records nothing. */
const recordsOnly = mixedRecords(['first', 'failed', 'unattributed', 'known']);
const adoptions = mixedRecords(['untyped', 'typed']);
/** New experiences are inserted where a commit adds to none that is there. */
const firstsOnly = mixedRecords(['first']);
/** Of one process: when each of them stands at the step, the process commits nothing any more. */
const LANES = 2;
const FOR_EVER_MS = 100_000;

let mongod: OwnMongod;
let cutter: ReplyCutter;
let service: ServiceProcess;

beforeAll(async () => {
  mongod = await startOwnMongod();
  cutter = await startReplyCutter(mongod.port);
  service = await start();
  const client = new ExperiencesClient({ address: service.address });
  await client.types.create({ name: 'Summary', description: 'A summary' });
  client.close();
});
afterAll(async () => {
  await expectVerifiedAt(service.address);
  service.kill('SIGKILL');
  await service.exited;
  await cutter.stop();
  await mongod.stop();
});

async function start(): Promise<ServiceProcess> {
  return startServiceProcess({
    mongodbUri: `mongodb://127.0.0.1:${cutter.port}/?directConnection=true`,
    databaseName,
  });
}

interface Step {
  /** Makes the server or the way to it keep what ends the step. */
  keep(): Promise<void> | void;
  /** Resolves when every lane stands there. */
  stoodAt(): Promise<void>;
  /** What of the commits that stood at the step is in the books. */
  readonly committed: 'nothing' | 'everything';
  readonly next: () => Record;
}

function before(commands: string | string[], collection?: string, next = anything): Step {
  const namespace = collection === undefined ? {} : { namespace: `${databaseName}.${collection}` };
  return keeping(
    { failCommands: [commands].flat(), ...namespace, blockTimeMS: FOR_EVER_MS },
    'nothing',
    next,
  );
}

function keeping(failure: CommandFailure, committed: Step['committed'], next: Step['next']): Step {
  return {
    keep: () => mongod.fail({ ...failure, blockConnection: true }),
    stoodAt: () => mongod.hit(LANES),
    committed,
    next,
  };
}

const answerHeld: Step = {
  keep: () => cutter.hold('commitTransaction'),
  stoodAt: async () => {
    await waitUntil('both lanes are committed', () => (cutter.held() >= LANES ? true : undefined));
  },
  committed: 'everything',
  next: recordsOnly,
};

test.each<[what: string, step: Step]>([
  // A small commit reads all in one aggregation, a larger one in several commands of which this is the first.
  ['before anything is read', before(['aggregate', 'find'], 'applications')],
  ['before an experience takes its type', before('findAndModify', 'experiences', adoptions)],
  ['after all is read', before('insert', 'events')],
  ['after the events are inserted', before('update', 'events')],
  ['after the events of new experiences are inserted', before('insert', 'experiences', firstsOnly)],
  ['after the new experiences are inserted', before('update', 'rollups', firstsOnly)],
  ['after earlier successes are wasted', before('update', 'experiences')],
  ['after the experiences are updated', before('update', 'rollups')],
  ['after the rollups are updated', before('update', 'histograms')],
  ['after the histograms are updated', before('update', 'guards')],
  ['before the commit', before('commitTransaction')],
  [
    'in the commit, which the server carries out',
    keeping({ failCommands: ['commitTransaction'], blockTimeMS: 2_000 }, 'everything', recordsOnly),
  ],
  ['after the commit, before the answer', answerHeld],
])(
  'a service killed %s has lost and doubled nothing when all is sent again',
  async (_what, step) => {
    const over = new AbortController();
    const load = callers.load(service.address, over.signal, step.next);
    // Each way has a connection of its own, and each of them must be in full swing.
    const before = toldBy('single');
    await waitUntil('a hundred single calls are acknowledged', () =>
      toldBy('single') > before + 100 && toldBy('stream') > 0 && toldBy('batch') > 0 ? true : undefined,
    );
    await step.keep();
    await step.stoodAt();
    const atTheStep = await storedIds();
    over.abort();
    service.kill('SIGKILL');
    await service.exited;
    await load;
    // What the service left open holds its locks for up to three seconds more: the next one has to live with that.
    if (step.committed === 'nothing') await mongod.dropCommands();
    await mongod.failNothing();
    cutter.holdNothing();
    if (step.committed === 'everything') {
      await waitUntil('the server has carried out what it had got', async () =>
        (await openTransactions()) === 0 ? true : undefined,
      );
    }

    const books = await expectBooks(mongod.client, databaseName, callers);
    const left = new Set(books.events.map(({ id }) => id));
    const unanswered = callers.unanswered();
    if (step.committed === 'nothing') {
      expect([...left].filter((id) => !atTheStep.has(id))).toEqual([]);
      expect(unanswered.filter((id) => !left.has(id)).length).toBeGreaterThan(0);
    } else {
      const inSilence = unanswered.filter((id) => left.has(id) && callers.ways.get(id) === 'single');
      expect(inSilence.length).toBeGreaterThan(0);
    }

    service = await start();
    await callers.resend(service.address);
    expect(callers.unanswered()).toEqual([]);
    const duplicates = unanswered.filter((id) => callers.told.get(id)?.duplicate === true);
    expect(duplicates).toEqual(unanswered.filter((id) => left.has(id)));
    const whole = await expectBooks(mongod.client, databaseName, callers);
    expect(whole.events).toHaveLength(callers.sent.size);
    expectAsSent(whole, callers);
  },
  60_000,
);

function toldBy(way: Way): number {
  return [...callers.told.keys()].filter((id) => callers.ways.get(id) === way).length;
}

async function storedIds(): Promise<ReadonlySet<string>> {
  const events = mongod.client.db(databaseName).collection<{ _id: { e: unknown } }>('events');
  const keys = await events.find({}, { projection: { _id: 1 } }).toArray();
  return new Set(keys.map(({ _id }) => String(_id.e)));
}

async function openTransactions(): Promise<number> {
  const { transactions } = await mongod.client.db('admin').command({ serverStatus: 1 });
  return Number(transactions.currentOpen);
}
