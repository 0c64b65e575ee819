import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ExperiencesClient, ExperiencesError, type UsageRecord } from '../services/client/index.js';
import { settle } from '../services/client/settle.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { verdictOn } from '../services/gateway/outbox/delivery-verdict.js';
import {
  DiskOutbox,
  type DiskOutboxOptions,
  type OutboxItem,
} from '../services/gateway/outbox/disk-outbox.js';
import { createSeededRandom } from '../services/simulator/seeded-random.js';
import { type OutboxProcess, startOutboxProcess } from './support/outbox-process.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const KILLS = 20;
const NOWHERE = '127.0.0.1:1';

let service: TestService;
let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'experiences-outbox-'));
  service = await startTestService();
  await service.client.types.create({ name: 'Summary', description: 'Summary' });
});
afterAll(async () => {
  await expectVerified(service.client);
  await service.stop();
  rmSync(root, { recursive: true });
});

describe('what was acknowledged is delivered', () => {
  test(`exactly once, over ${KILLS} kills at random moments`, async () => {
    const folder = newFolder();
    const experienceId = newUuid();
    const random = createSeededRandom(20);
    const acknowledged = new Set<string>();
    for (let kill = 0; kill < KILLS; kill += 1) {
      // While nothing listens the items gather, and the next one that can delivers them while it takes more.
      const address = kill % 3 === 2 ? service.address : NOWHERE;
      const child = await startOutboxProcess({ folder, address, experienceId, burst: 1 + (kill % 8) });
      // Every other one early, on a slow machine before anything is acknowledged.
      if (kill % 2 === 0) {
        await waitUntil('one is acknowledged', () => (child.acknowledged.size > 0 ? true : undefined));
      }
      await sleep(random() * KILLED_AFTER_MAX_MS);
      child.kill('SIGKILL');
      await child.exited;
      for (const eventId of child.acknowledged) acknowledged.add(eventId);
    }
    const outbox = await open({ folder, deliver: toService });
    await outbox.close({ drainTimeMaxMs: 30_000 });
    expect(outbox.size).toBe(0);
    expect(outbox.corruptedCount).toBe(0);
    const events = await readAll(service.client.usage.list(experienceId));
    const recorded = new Set(events.map(({ eventId }) => eventId));
    expect([...acknowledged].filter((eventId) => !recorded.has(eventId))).toEqual([]);
    expect(acknowledged.size).toBeGreaterThanOrEqual(KILLS / 2);
    expect(events.every(({ eventId, properties }) => properties.original === eventId)).toBe(true);
    expect(recorded.size).toBe(events.length);
    expect(filesIn(folder).filter((name) => !name.endsWith('.free'))).toEqual([]);
  }, 180_000);

  test('with every field as it was added', async () => {
    // All fields there are: one that is added later does not compile here until it is named.
    const record: Required<UsageRecord> = {
      eventId: newUuid(),
      experienceId: newUuid(),
      experienceType: 'Summary',
      experienceVersion: 1,
      userId: 'ada',
      requestTags: ['a', '$date'],
      limitIds: [newUuid()],
      provider: 'openai',
      model: 'gpt-4o-mini',
      requestedModel: 'gpt-4o',
      units: { text: { input: 1n, output: 999_999_999_999n }, vision: { input: 0n } },
      outcome: 'FAILED',
      eventTime: new Date('2026-01-02T03:04:05.678Z'),
      operationKey: 'key “ü”\n🧶',
      step: 'map',
      latencyMs: 12.5,
      timeToFirstTokenMs: 3,
      httpStatusCode: 500,
      providerRequestId: 'req_1',
      providerResponseId: 'resp_1',
      properties: { eventTime: '2026-01-01T00:00:00.000Z', units: '12', ['__proto__']: 'a' },
      workflowSource: {
        namespace: 'default',
        workflowId: 'w',
        runId: 'r',
        workflowType: 't',
        activityId: '1',
        activityType: 'a',
        attempt: 2,
        taskQueue: 'q',
        isLocal: false,
        workerIdentity: 'i',
      },
    };
    const item: OutboxItem = { application: 'shop', settlement: { kind: 'record', record } };
    const folder = await folderWith([item, release('b')]);
    expect(await deliveredFrom(folder)).toEqual([item, release('b')]);
  });

  test('when the service is away at first', async () => {
    const own = await startTestService();
    onTestFinished(() => own.stop());
    const { address } = own;
    await own.stopServer();
    const client = new ExperiencesClient({ address, timeoutMs: 500 });
    onTestFinished(() => client.close());
    const outbox = await open({ deliver: ({ settlement }) => settle(client.usage, settlement) });
    const experienceId = newUuid();
    await Promise.all(times(100, () => outbox.add(recordOf({ experienceId }))));
    expect(outbox.size).toBe(100);
    const again = await startTestService({ ...own.options, listen: address });
    onTestFinished(() => again.stop());
    await waitUntil('all are delivered', () => (outbox.size === 0 ? true : undefined));
    expect(await readAll(again.client.usage.list(experienceId))).toHaveLength(100);
  });

  test('a release too, and what it released holds nothing', async () => {
    const [experienceId, eventId] = [newUuid(), newUuid()];
    const { units: _units, ...model } = CALL;
    await service.client.usage.reserve({ ...model, eventId, experienceId, estimate: { cost: '0.1' } });
    const outbox = await open({ deliver: toService });
    await outbox.add(release(eventId));
    await outbox.close({ drainTimeMaxMs: 10_000 });
    const { totals } = await service.client.experiences.get(experienceId);
    expect(totals).toMatchObject({ heldCost: '0', openReservationCount: 0n, eventCount: 0n });
  });

  test('unattributed when its experience was deleted meanwhile', async () => {
    const [experienceId, eventId] = [newUuid(), newUuid()];
    await service.client.usage.record({ ...CALL, experienceId });
    await service.client.experiences.delete(experienceId);
    const outbox = await open({ deliver: toService });
    await outbox.add(recordOf({ experienceId, eventId }));
    await outbox.close({ drainTimeMaxMs: 10_000 });
    expect(outbox.size + outbox.refusedCount).toBe(0);
    const again = await service.client.usage.record({
      ...CALL,
      eventId,
      eventTime: EVENT_TIME,
      properties: { experienceId },
    });
    expect(again).toMatchObject({ duplicate: true, event: { experienceId: undefined } });
  });
});

describe('a journal', () => {
  const items = [release('a'), release('b'), release('c')];

  test('that ends at any byte gives every whole item, and takes more', async () => {
    const written = await folderWith(items);
    const file = onlyJournalOf(written);
    const bytes = readFileSync(join(written, file));
    const ends = [...bytes.entries()].flatMap(([at, byte]) => (byte === LINE_BREAK ? at : []));
    expect(ends).toHaveLength(3);
    for (let length = 0; length <= bytes.length; length += 1) {
      const folder = copyOf(written);
      truncateSync(join(folder, file), length);
      const whole = ends.filter((end) => end <= length).length;
      expect(await deliveredFrom(folder, [release('d')]), `of ${length} bytes`).toEqual([
        ...items.slice(0, whole),
        release('d'),
      ]);
    }
  }, 60_000);

  test('with a damaged byte anywhere loses that item alone', async () => {
    const written = await folderWith(items);
    const file = onlyJournalOf(written);
    const bytes = readFileSync(join(written, file));
    const [first = 0, second = 0] = [...bytes.entries()].flatMap(([at, byte]) =>
      byte === LINE_BREAK ? at : [],
    );
    for (let at = first + 1; at <= second; at += 1) {
      for (const damage of [bytes[at] === 0x30 ? 0x31 : 0x30, LINE_BREAK]) {
        if (bytes[at] === damage) continue;
        const folder = copyOf(written);
        const damaged = Buffer.from(bytes);
        damaged[at] = damage;
        writeFileSync(join(folder, file), damaged);
        const left = at === second ? items : [items[0], items[2]];
        const delivered: OutboxItem[] = [];
        const outbox = await open({ folder, deliver: async (item) => void delivered.push(item) });
        await outbox.close({ drainTimeMaxMs: 10_000 });
        expect(delivered, `byte ${at}`).toEqual(left);
        expect(outbox.corruptedCount, `byte ${at}`).toBeGreaterThan(0);
        expect(filesIn(folder)).toContain(`${file}.damaged`);
      }
    }
  }, 60_000);

  test('is readable by its user alone, and its files go when all is delivered', async () => {
    const folder = await folderWith(items);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(filesIn(folder).map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([0o600, 0o600]);
    await deliveredFrom(folder);
    expect(filesIn(folder).filter((name) => !name.endsWith('.free'))).toEqual([]);
  });

  test('does not grow for one item that cannot be delivered', async () => {
    const stuck = release('stuck');
    const folder = newFolder();
    const outbox = await open({
      folder,
      deliver: async (item) => {
        if (item.settlement.kind === 'release') throw away();
      },
    });
    await outbox.add(stuck);
    const large = { properties: { text: 'a'.repeat(500_000) } };
    for (let n = 0; n < 60; n += 1) await outbox.add(recordOf(large));
    await waitUntil('the others are delivered', () => (outbox.size === 1 ? true : undefined));
    const bytes = () => filesIn(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    await waitUntil('the files are gone', () => (bytes() < 15_000_000 ? true : undefined));
    await outbox.close({ drainTimeMaxMs: 0 });
    expect(await deliveredFrom(folder)).toEqual([stuck]);
  });
});

describe('an item is rejected', () => {
  const full = { reason: 'FULL' };

  test('beyond the number of items, until there is room again', async () => {
    let isAway = true;
    const outbox = await open({
      itemsMax: 3,
      deliver: async () => {
        if (isAway) throw away();
      },
    });
    const outcomes = await Promise.allSettled(times(5, () => outbox.add(recordOf({}))));
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...Array(3).fill('fulfilled'),
      ...Array(2).fill('rejected'),
    ]);
    expect(outcomes[4]).toMatchObject({ reason: full });
    expect(outbox.isReady).toBe(false);
    isAway = false;
    await waitUntil('there is room', () => (outbox.size === 0 ? true : undefined));
    expect(outbox.isReady).toBe(true);
    await outbox.add(recordOf({}));
  });

  test('beyond the number of bytes', async () => {
    const outbox = await open({ bytesMax: 3_000, deliver: () => Promise.reject(away()) });
    const one = recordOf({ properties: { text: 'ü'.repeat(500) } });
    await outbox.add(one);
    await outbox.add(one);
    await expect(outbox.add(one)).rejects.toMatchObject(full);
    await outbox.add(release('small'));
  });

  test('when it is larger than any may be', async () => {
    const outbox = await open({ deliver: async () => undefined });
    await expect(outbox.add(recordOf({ properties: { text: 'a'.repeat(2 ** 20) } }))).rejects.toMatchObject({
      reason: 'TOO_LARGE',
    });
  });

  test('when the outbox is closed', async () => {
    const outbox = await open({ deliver: async () => undefined });
    await outbox.close({ drainTimeMaxMs: 0 });
    await expect(outbox.add(release('a'))).rejects.toMatchObject({ reason: 'CLOSED' });
  });

  test('when another process has taken the folder over meanwhile', async () => {
    const folder = newFolder();
    const outbox = await open({ folder, deliver: () => Promise.reject(away()) });
    await outbox.add(release('before'));
    // As one does on another machine after this process gave no sign for long.
    const [lock = ''] = readdirSync(folder).filter((name) => name.endsWith('.lock'));
    writeFileSync(join(folder, `${Number.parseInt(lock, 10) + 1}.lock`), '{}');
    rmSync(join(folder, lock));
    await expect(outbox.add(release('a'))).rejects.toMatchObject({ reason: 'WRITE_FAILED' });
    expect(outbox.isReady).toBe(false);
    await expect(outbox.add(release('b'))).rejects.toMatchObject({ reason: 'CLOSED' });
  });

  test('when the disk fails, and the next one is taken when it works again', async () => {
    const folder = newFolder();
    const outbox = await open({ folder, deliver: () => Promise.reject(away()) });
    rmSync(folder, { recursive: true });
    await expect(outbox.add(release('a'))).rejects.toMatchObject({ reason: 'WRITE_FAILED' });
    expect([outbox.size, outbox.isReady]).toEqual([0, false]);
    mkdirSync(folder);
    await outbox.add(release('b'));
    expect(outbox.size).toBe(1);
    await outbox.close({ drainTimeMaxMs: 0 });
    expect(await deliveredFrom(folder)).toEqual([release('b')]);
  });
});

describe('what the service refuses for good', () => {
  test('is put aside, told without its content, and does not hold up the others', async () => {
    const folder = newFolder();
    const [eventId, experienceId] = [newUuid(), newUuid()];
    await service.client.usage.record({ ...CALL, eventId, experienceId });
    const log: string[] = [];
    const outbox = await open({
      folder,
      deliver: toService,
      logger: pino({}, { write: (line: string) => log.push(line) }),
    });
    const conflicting = recordOf({ eventId, experienceId, properties: { note: 'confidential' } });
    const invalid = recordOf({ experienceId, provider: '' });
    await Promise.all(
      [conflicting, invalid, ...times(50, () => recordOf({ experienceId }))].map((item) => outbox.add(item)),
    );
    await waitUntil('all are done with', () => (outbox.size === 0 ? true : undefined));
    await outbox.close({ drainTimeMaxMs: 0 });
    expect(outbox.refusedCount).toBe(2);
    expect(await readAll(service.client.usage.list(experienceId))).toHaveLength(51);
    const told = log.filter((line) => line.includes('is refused for good'));
    expect(told.map((line): unknown => JSON.parse(line))).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          application: 'default',
          eventId,
          code: 'ALREADY_EXISTS',
          reason: 'EVENT_ID_CONFLICT',
        }),
        expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' }),
      ]),
    );
    expect(log.join('')).not.toContain('confidential');

    // It is not tried again by itself, and all of it when its file is given another name.
    expect(await deliveredFrom(folder)).toEqual([]);
    renameSync(join(folder, 'refused.journal'), join(folder, '0000000000.journal'));
    const given = await deliveredFrom(folder);
    expect(given).toHaveLength(2);
    expect(given).toEqual(expect.arrayContaining([conflicting, invalid]));
  });

  test('counts towards what the outbox may hold', async () => {
    const outbox = await open({ bytesMax: 2_500, deliver: () => Promise.reject(refusal()) });
    await outbox.add(recordOf({ properties: { text: 'a'.repeat(2_000) } }));
    await waitUntil('it is put aside', () => (outbox.refusedCount === 1 ? true : undefined));
    await expect(outbox.add(recordOf({}))).rejects.toMatchObject({ reason: 'FULL' });
  });

  test('is not what comes while the service does not take the gateway’s key: that waits for the right one', async () => {
    const apiKey = 'k'.repeat(32);
    const own = await startTestService({ bootstrapKey: apiKey });
    onTestFinished(() => own.stop());
    const refused: string[] = [];
    let client = own.client.as({});
    const outbox = await open({
      deliver: ({ settlement }) =>
        settle(client.usage, settlement).catch((error: unknown) => {
          if (error instanceof ExperiencesError) refused.push(`${error.code} ${error.reason}`);
          throw error;
        }),
    });
    const experienceId = newUuid();
    await Promise.all(times(5, () => outbox.add(recordOf({ experienceId }))));
    await waitUntil('some are refused', () => (refused.length >= 3 ? true : undefined));
    client = own.client;
    await waitUntil('all are delivered', () => (outbox.size === 0 ? true : undefined));
    expect(new Set(refused)).toEqual(new Set(['UNAUTHENTICATED INVALID_API_KEY']));
    expect(outbox.refusedCount).toBe(0);
    expect(await readAll(client.usage.list(experienceId))).toHaveLength(5);
  });

  test('is not what fails without a word of the service: that is tried again for a day', async () => {
    const hour = 60 * 60 * 1_000;
    const fields = { reason: undefined, metadata: {}, violations: [], retryAfterMs: undefined };
    const of = (code: string, reason?: string) => new ExperiencesError('x', { ...fields, code, reason });
    const unexplained = [
      of('INTERNAL', 'INTERNAL'),
      of('UNKNOWN'),
      of('INVALID_ARGUMENT'),
      new Error('a bug'),
    ];
    for (const error of unexplained) {
      expect([error, verdictOn(error, 23 * hour)]).toEqual([error, 'later']);
      expect([error, verdictOn(error, 25 * hour)]).toEqual([error, 'refused']);
    }
    expect(verdictOn(of('UNIMPLEMENTED'), 25 * hour)).toBe('away');
    expect(verdictOn(of('INVALID_ARGUMENT', 'INVALID_FIELDS'), 0)).toBe('refused');
    let attempts = 0;
    const outbox = await open({
      deliver: async () => {
        attempts += 1;
        if (attempts <= 5) throw of('INTERNAL', 'INTERNAL');
      },
    });
    await outbox.add(release('a'));
    await waitUntil('it is delivered', () => (outbox.size === 0 ? true : undefined), 20_000);
    expect([attempts, outbox.refusedCount]).toEqual([6, 0]);
  });
});

describe('a folder', () => {
  test('is one outbox’s alone until that is closed', async () => {
    const folder = newFolder();
    const first = await open({ folder, deliver: async () => undefined });
    await expect(open({ folder, deliver: async () => undefined })).rejects.toThrow(
      `held by the process ${process.pid}`,
    );
    await first.close({ drainTimeMaxMs: 0 });
    await open({ folder, deliver: async () => undefined });
  });

  test('of another process is taken over as soon as that was killed, by one of many', async () => {
    const folder = newFolder();
    const child = await startOutboxProcess({ folder, address: NOWHERE, experienceId: newUuid(), burst: 0 });
    await expect(open({ folder, deliver: async () => undefined })).rejects.toThrow('is held by the process');
    await kill(child);
    const outcomes = await Promise.allSettled(
      times(8, () => open({ folder, deliver: async () => undefined })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('of a process that has ended, and that nobody has waited for, is taken over at once', async () => {
    const folder = newFolder();
    // The shell becomes a process that waits for no child.
    const parent = spawn('sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 20'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [line] = await once(parent.stdout, 'data');
    const pid = Number(String(line));
    const fields = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const machine = `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
    mkdirSync(folder);
    writeFileSync(join(folder, '7.lock'), JSON.stringify({ pid, startTicks: fields()[19], machine }));
    await expect(open({ folder, deliver: async () => undefined })).rejects.toThrow('is held by the process');
    await waitUntil('it has ended', () => (fields()[0] === 'Z' ? true : undefined));
    await open({ folder, deliver: async () => undefined });
  });

  test('of a process that cannot be looked at is taken over when it gives no sign', async () => {
    const [silent, touched] = [newFolder(), newFolder()];
    const holder = JSON.stringify({ pid: process.pid, startTicks: '', machine: 'another' });
    for (const folder of [silent, touched]) {
      mkdirSync(folder);
      writeFileSync(join(folder, '7.lock'), holder);
    }
    const touching = setInterval(() => writeFileSync(join(touched, '7.lock'), holder), TOUCHED_EVERY_MS);
    onTestFinished(() => clearInterval(touching));
    await Promise.all([
      open({ folder: silent, deliver: async () => undefined }),
      expect(open({ folder: touched, deliver: async () => undefined })).rejects.toThrow(
        'is held by the process',
      ),
    ]);
    expect(filesIn(silent)).toEqual(['8.lock']);
  }, 30_000);
});

const LINE_BREAK = 0x0a;
const KILLED_AFTER_MAX_MS = 150;
const TOUCHED_EVERY_MS = 500;
const EVENT_TIME = new Date();

async function open(
  options: Partial<DiskOutboxOptions> & Pick<DiskOutboxOptions, 'deliver'>,
): Promise<DiskOutbox> {
  const outbox = await DiskOutbox.open({
    folder: newFolder(),
    logger: pino({ level: 'silent' }),
    ...options,
  });
  onTestFinished(() => outbox.close({ drainTimeMaxMs: 0 }));
  return outbox;
}

/** A folder with these items in one file, left by an outbox that could not deliver them. */
async function folderWith(items: readonly OutboxItem[]): Promise<string> {
  const folder = newFolder();
  const outbox = await open({ folder, deliver: () => Promise.reject(away()) });
  for (const item of items) await outbox.add(item);
  await outbox.close({ drainTimeMaxMs: 0 });
  return folder;
}

/** What the next outbox in the folder delivers, and these. */
async function deliveredFrom(
  folder: string,
  added: readonly OutboxItem[] = [],
): Promise<readonly OutboxItem[]> {
  const delivered: OutboxItem[] = [];
  const outbox = await open({ folder, deliver: async (item) => void delivered.push(item) });
  for (const item of added) await outbox.add(item);
  await outbox.close({ drainTimeMaxMs: 10_000 });
  expect(outbox.size).toBe(0);
  return delivered;
}

function toService({ settlement }: OutboxItem): Promise<void> {
  return settle(service.client.usage, settlement);
}

function recordOf(record: Partial<UsageRecord>): OutboxItem {
  const filled = { ...CALL, eventTime: EVENT_TIME, ...record, eventId: record.eventId ?? newUuid() };
  const units = { text: { input: 1000n, output: 500n } };
  return { application: 'default', settlement: { kind: 'record', record: { ...filled, units } } };
}

function release(eventId: string): OutboxItem {
  return { application: 'default', settlement: { kind: 'release', eventId } };
}

function away(): ExperiencesError {
  return new ExperiencesError('away', {
    code: 'UNAVAILABLE',
    reason: undefined,
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
  });
}

function refusal(): ExperiencesError {
  const fields = { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS', metadata: {}, violations: [] };
  return new ExperiencesError('refused', { ...fields, retryAfterMs: undefined });
}

async function kill(child: OutboxProcess): Promise<void> {
  child.kill('SIGKILL');
  await child.exited;
}

let folders = 0;
function newFolder(): string {
  folders += 1;
  return join(root, String(folders));
}

function copyOf(folder: string): string {
  const copy = newFolder();
  cpSync(folder, copy, { recursive: true });
  return copy;
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder);
}

function onlyJournalOf(folder: string): string {
  const [name, ...others] = filesIn(folder).filter((each) => each.endsWith('.journal'));
  if (name === undefined || others.length > 0) throw new Error('there is one file');
  return name;
}

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}
