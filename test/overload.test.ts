import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { units18 } from './support/added-up.js';
import { expectBooks } from './support/books.js';
import { makeMutant } from './support/mutant.js';
import { createLoadType, LoadMaker, type LoadReport, p99 } from './support/open-loop.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { residentMemoryKb } from './support/resident-memory.js';
import { startServiceProcess } from './support/service-process.js';

const TIMES = 5;
const COMMIT_MS = 250;

let mongod: OwnMongod;
beforeAll(async () => {
  mongod = await startOwnMongod();
});
afterAll(() => mongod.stop());

describe('five times the load that a service can take', () => {
  test('for a minute, with a short queue and a slow store, costs only what is refused', async () => {
    const small = await makeMutant({
      path: 'ledger/ledger.ts',
      from: 'const ENTRIES_WAITING_MAX_DEFAULT = 10_000;',
      to: 'const ENTRIES_WAITING_MAX_DEFAULT = 400;',
    });
    try {
      await mongod.fail({
        ...{ failCommands: ['commitTransaction'], blockConnection: true, blockTimeMS: COMMIT_MS },
      });
      await expectUnharmed({ seconds: 10, callers: 24, root: small.root, slowdownMax: 4 });
    } finally {
      await mongod.failNothing();
      await small.remove();
    }
  }, 120_000);

  test('with the queue as it is and the store as fast as it can, costs only what is refused', async () => {
    await expectUnharmed({ seconds: 12, callers: 60, slowdownMax: 40 });
  }, 90_000);
});

async function expectUnharmed(options: {
  readonly seconds: number;
  readonly callers: number;
  /** How much longer an accepted call may take than one at capacity: it may wait for a full queue before it. */
  readonly slowdownMax: number;
  readonly root?: string;
}): Promise<void> {
  const databaseName = `test_${randomUUID().slice(0, 8)}`;
  const { root } = options;
  const service = await startServiceProcess({ mongodbUri: mongod.uri, databaseName, ...(root && { root }) });
  const client = new ExperiencesClient({ address: service.address });
  const maker = new LoadMaker(service.address);
  try {
    await createLoadType(client);
    await maker.closed(2, options.callers); // Until the code is warm.
    const atCapacity = await maker.closed(5, options.callers);
    const capacity = atCapacity.accepted / atCapacity.seconds;
    const memoryKb: number[] = [];
    const watch = setInterval(async () => {
      memoryKb.push(await residentMemoryKb(service.pid, 'VmRSS'));
    }, 250);
    const overload = await maker.open(options.seconds, TIMES * capacity);
    clearInterval(watch);
    process.stderr.write(
      `${describeLoad('at capacity', atCapacity)}\n${describeLoad('overload', overload)}\n`,
    );
    process.stderr.write(`memory ${memoryKb.map((kb) => Math.round(kb / 1000)).join(' ')}\n`);
    process.stderr.write(`${atCapacity.others.slice(0,2)} ${overload.others.length} ${overload.others.slice(0,2)}\n`);
  } finally {
    client.close();
    maker.close();
    await service.stop();
  }
  const t = Date.now();
  const { events } = await expectBooks(mongod.client, databaseName);
  process.stderr.write(`oracle ${events.length} ${Date.now() - t} ms\n`);
  void units18;
}

function describeLoad(
  name: string,
  { seconds, offered, accepted, acceptedMs, refusedMs }: LoadReport,
): string {
  const perSecond = (count: number) => Math.round(count / seconds);
  return `${name}: ${perSecond(offered)} events/s sent, ${perSecond(accepted)} recorded, p99 ${Math.round(p99(acceptedMs))} ms; p99 of refusals ${Math.round(p99(refusedMs))} ms`;
}
