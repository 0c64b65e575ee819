import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseMoney } from '../services/domain/money.js';
import { parseUuid } from '../services/domain/uuid.js';
import { limitSumKey } from '../services/ledger/limit-document.js';
import type { LimitSumDocument } from '../services/ledger/limit-fields.js';
import { toDecimal } from '../services/ledger/money-decimal.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
const mongo = new MongoClient(inject('mongodbUri'));
beforeAll(async () => {
  service = await startTestService();
});
afterAll(async () => {
  await service.stop();
  await mongo.close();
});

describe('limits', () => {
  test('create shows the limit; the same again says that it exists', async () => {
    const line = ['limits', 'create', 'team-a', '--max', '250.50', '--type', 'block', '--threshold', '0.8'];
    const shown = `Limit      <id>
Name       team-a
Type       block: refuses reservations
Maximum    $250.5
Threshold  80 %
State      ok
Spent      $0
Held       $0
Calls      0
Period     1, since <time>
Tags       a, b
Created    <time>
Changed    <time>
Etag       "1"
`;
    const tags = ['--tag', 'a', '--tag', 'b'];
    expect(await experiences(...line, ...tags)).toEqual({ code: 0, stdout: shown, stderr: '' });
    expect(await experiences(...line, ...tags)).toEqual({
      code: 0,
      stdout: shown,
      stderr: 'It exists already, with the same content.\n',
    });
  });

  test('create needs a maximum alone beside its name', async () => {
    expect((await experiences('limits', 'create', 'plain', '--max', '1')).stdout).toContain(
      'Type       allow: refuses nothing\nMaximum    $1\nThreshold  100 %\n',
    );
  });

  test('list shows maxima, spends, holds and states below each other, the newest first', async () => {
    const first = await newLimit('listed-1', { tags: ['listed'] });
    const second = await newLimit('listed-2', { tags: ['listed', 'more'], type: 'BLOCK', maxCost: '2.25' });
    await charge(first, { spent: '5.5' });
    await charge(second, { spent: '1.125', held: '0.5' });
    expect((await experiences('limits', 'list', '--tag', 'listed')).stdout).toBe(
      `LIMIT                                 NAME      TYPE     MAX   SPENT  HELD  STATE    TAGS
${'─'.repeat(97)}
<id>  listed-2  block  $2.25  $1.125  $0.5  ok       listed, more
<id>  listed-1  allow  $5     $5.5          overrun  listed
`,
    );
    const one = await experiences('limits', 'list', '--tag', 'listed', '--limit', '1', '--json');
    expect(JSON.parse(one.stdout)).toMatchObject([
      { name: 'listed-2', type: 'BLOCK', state: 'OK', period: { spentCost: '1.125', heldCost: '0.5' } },
    ]);
    expect(one.stderr).toContain('there are more');
    expect((await experiences('limits', 'list', '--tag', 'none')).stdout).toBe('There are no such limits.\n');
  });

  test('show tells what was charged before each reset, and reset begins anew', async () => {
    const id = await newLimit('periods', { maxCost: '5' });
    await charge(id, { spent: '5.75', unsettled: '0.25', events: 1_200n, blocked: 3n });
    const reset = await experiences('limits', 'reset', id, '--request-id', 'may');
    expect(reset.stdout).toContain('\nPeriod     2, since <time>\n');
    await experiences('limits', 'reset', id, '--request-id', 'may');
    expect(await experiences('limits', 'show', id)).toEqual({
      code: 0,
      stdout: `Limit      <id>
Name       periods
Type       allow: refuses nothing
Maximum    $5
Threshold  100 %
State      ok
Spent      $0
Held       $0
Calls      0
Period     2, since <time>
Created    <time>
Changed    <time>
Etag       "2"

PERIOD  FROM                     UNTIL                    SPENT  UNSETTLED  OVERRUN  CALLS  REFUSED
${'─'.repeat(99)}
     2  <time>  now                      $0                             0
     1  <time>  <time>  $5.75      $0.25    $0.75  1,200        3
`,
      stderr: '',
    });
    expect(JSON.parse((await experiences('limits', 'show', id, '--json')).stdout)).toMatchObject({
      limit: { period: { number: 2 } },
      pastPeriods: [{ number: 1, spentCost: '5.75', eventCount: 1200 }],
    });
  });

  test('update changes what is given and leaves the rest; a stale etag is refused', async () => {
    const id = await newLimit('before', { maxCost: '5', threshold: '0.5', tags: ['a'] });
    await experiences('limits', 'update', id, '--max', '6', '--name', 'after', '--etag', '"1"');
    const { limits } = service.client;
    const rest = { threshold: '0.5', type: 'ALLOW' };
    expect((await limits.get(id)).limit).toMatchObject({ name: 'after', maxCost: '6', tags: ['a'], ...rest });
    await experiences('limits', 'update', id, '--tag', 'b', '--tag', 'c');
    expect((await limits.get(id)).limit).toMatchObject({ maxCost: '6', tags: ['b', 'c'], ...rest });
    await experiences('limits', 'update', id, '--no-tags');
    expect((await limits.get(id)).limit).toMatchObject({ maxCost: '6', tags: [], ...rest });
    const stale = await experiences('limits', 'update', id, '--threshold', '1', '--etag', '"1"');
    expect(stale).toMatchObject({ code: 1, stderr: expect.stringContaining('Look at it again') });
  });

  test('a deleted limit is only shown when asked for', async () => {
    const id = await newLimit('gone');
    expect((await experiences('limits', 'delete', id)).stdout).toContain('Deleted    <time>');
    expect((await experiences('limits', 'list', '--name', 'gone')).stdout).toBe(
      'There are no such limits.\n',
    );
    const listed = await experiences('limits', 'list', '--name', 'gone', '--show-deleted');
    expect(listed.stdout).toContain('DELETED');
    expect(await experiences('limits', 'show', id)).toEqual({
      code: 1,
      stdout: '',
      stderr: "error: There is no limit '<id>'.\n  `experiences limits list` shows limits with their ids.\n",
    });
    expect((await experiences('limits', 'show', id, '--show-deleted')).stdout).toContain('Deleted    <time>');
  });

  test.each<[what: string, line: string[], message: string]>([
    ['no maximum', ['limits', 'create', 'x'], '--max'],
    ['a maximum that is no amount', ['limits', 'create', 'x', '--max', '$5'], 'decimal number, such as 2.50'],
    ['a threshold above 1', ['limits', 'create', 'x', '--max', '5', '--threshold', '80'], 'such as 0.8'],
    ['a type that is none', ['limits', 'create', 'x', '--max', '5', '--type', 'stop'], 'allow, block'],
    ['nothing to change', ['limits', 'update', 'x'], 'There is nothing to change.'],
    [
      'a limit of a type half given',
      ['types', 'create', 'Half', '--description', 'x', '--limit-type', 'block'],
      '--limit-type and --threshold are of the limit that --limit gives.',
    ],
  ])('a line with %s is refused as such', async (_what, line, message) => {
    expect(await experiences(...line)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
  });

  test('what the service refuses is said with what to do about it', async () => {
    const id = await newLimit('spent', { maxCost: '5' });
    await charge(id, { spent: '2' });
    expect(await experiences('limits', 'update', id, '--max', '1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('`experiences limits reset <id>` begins a new period'),
    });
    expect(await experiences('limits', 'create', 'spent', '--max', '6')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('`experiences limits show <id>` shows it'),
    });
  });
});

describe('types', () => {
  test('create gives each new experience a limit, and update changes it or takes it away', async () => {
    const create = ['types', 'create', 'Chat', '--description', 'Answers', '--limit', '0.50'];
    const created = await experiences(...create, '--limit-type', 'block', '--threshold', '0.8');
    expect(created.stdout).toContain('Limit        block at $0.5, exceeded from 80 %\n');
    const config = async () => (await service.client.types.get('Chat')).limitConfig;
    expect(await config()).toEqual({ maxCost: '0.5', type: 'BLOCK', threshold: '0.8', tags: [] });
    await experiences('types', 'update', 'Chat', '--description', 'Answers questions');
    expect(await config()).toMatchObject({ maxCost: '0.5', type: 'BLOCK' });
    await experiences('types', 'update', 'Chat', '--limit', '2');
    expect(await config()).toEqual({ maxCost: '2', type: 'ALLOW', threshold: '1', tags: [] });
    const without = await experiences('types', 'update', 'Chat', '--no-limit');
    expect(without.stdout).not.toContain('Limit');
    expect(await config()).toBeUndefined();
  });
});

async function newLimit(
  name: string,
  content: Partial<Parameters<TestService['client']['limits']['create']>[0]> = {},
): Promise<string> {
  return (await service.client.limits.create({ maxCost: '5', ...content, name })).limit.limitId;
}

/** As recording and reserving charge calls to a limit's first period. */
async function charge(
  limitId: string,
  sum: {
    readonly spent?: string;
    readonly held?: string;
    readonly unsettled?: string;
    readonly events?: bigint;
    readonly blocked?: bigint;
  },
): Promise<void> {
  const id = parseUuid(limitId);
  if (id === undefined) throw new Error(`'${limitId}' is no UUID`);
  const amount = (text = '0') => toDecimal(parseMoney(text) ?? failed(`'${text}' is no amount`));
  const sums = mongo.db(service.options.databaseName).collection<LimitSumDocument>('limit_sums');
  await sums.insertOne({
    _id: limitSumKey('default', id, 1, 1),
    sp: amount(sum.spent),
    ho: amount(sum.held),
    un: amount(sum.unsettled),
    n: sum.events ?? 0n,
    nb: sum.blocked ?? 0n,
  });
}

function failed(message: string): never {
  throw new Error(message);
}

interface EndedCommand {
  readonly code: number;
  /** Times and ids are replaced by `<time>` and `<id>`, but for JSON. */
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as users run it, a process of its own, from the build. */
async function experiences(...line: readonly string[]): Promise<EndedCommand> {
  const env = { ...process.env, EXPERIENCES_ADDRESS: service.address };
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...line], { cwd: PACKAGE_ROOT, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ code, stdout: plain(stdout), stderr: plain(stderr) });
    });
  });
}

function plain(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, '<time>')
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>');
}

const MAIN = join(PACKAGE_ROOT, 'dist/services/cli/main.js');
