import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp2Server, type Http2Server } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Connection, WorkflowClient } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { runCommandLine } from '../services/cli/command-line.js';
import { jsonText } from '../services/cli/json-text.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { startTestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startTestService();
  folder = await mkdtemp(join(tmpdir(), 'experiences-cli-'));
  await service.client.types.create({ name: 'Summary', description: 'Summarises a document' });
  await service.client.types.create({
    name: 'Runnable',
    description: 'Summarises a document in a run',
    workflowType: 'documentSummarization',
  });
  await writeFile(join(folder, 'report.txt'), 'Costs are measured. Every call is recorded.\n');
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('types', () => {
  test('create shows the type at version 1; the same again says that it exists', async () => {
    const line = [
      'types',
      'create',
      'Chat',
      '--description',
      'Answers questions',
      '--workflow',
      'documentChatbot',
    ];
    const shown = `Type         Chat
Description  Answers questions
Version      1
Workflow     documentChatbot
Task queue   the service's default
Created      <time>
Changed      <time>
Etag         "1"
`;
    expect(await experiences(...line)).toMatchObject({ code: 0, stdout: shown, stderr: '' });
    const again = await experiences(...line);
    expect(again).toMatchObject({
      code: 0,
      stdout: shown,
      stderr: 'It exists already, with the same content.\n',
    });
  });

  test('list shows all types in the order of their names; what they leave empty has no column', async () => {
    const other = await startTestService();
    onTestFinished(() => other.stop());
    await other.client.types.create({ name: 'b', description: 'Second' });
    await other.client.types.create({ name: 'a', description: 'First\nof two' });
    expect(await experiencesAt(other.address, 'types', 'list')).toMatchObject({
      code: 0,
      stdout: `NAME  VERSION  DESCRIPTION
${'─'.repeat(27)}
a           1  First of two
b           1  Second
`,
    });
  });

  test('bump raises the version, and versions lists it first', async () => {
    await service.client.types.create({ name: 'Bumped', description: 'x' });
    const bumped = await experiences('types', 'bump', 'Bumped', '--json');
    expect(JSON.parse(bumped.stdout)).toMatchObject({ version: 2, type: { currentVersion: 2 } });
    expect((await experiences('types', 'versions', 'Bumped')).stdout).toBe(`VERSION  SINCE
${'─'.repeat(32)}
      2  <time>
      1  <time>
`);
  });

  test('bump with a request id raises once, however often it is sent', async () => {
    await service.client.types.create({ name: 'Once', description: 'x' });
    for (let time = 0; time < 2; time += 1)
      await experiences('types', 'bump', 'Once', '--request-id', 'deploy-7');
    expect((await service.client.types.get('Once')).currentVersion).toBe(2);
  });

  test("update changes what is given and leaves the rest; '' takes a workflow away", async () => {
    await service.client.types.create({ name: 'Changed', description: 'before', workflowType: 'w' });
    await experiences('types', 'update', 'Changed', '--description', 'after');
    expect(await service.client.types.get('Changed')).toMatchObject({
      description: 'after',
      workflowType: 'w',
    });
    await experiences('types', 'update', 'Changed', '--workflow', '');
    expect(await service.client.types.get('Changed')).toMatchObject({
      description: 'after',
      workflowType: undefined,
    });
  });

  test('a deleted type is only shown when asked for, until it is undeleted', async () => {
    await service.client.types.create({ name: 'Gone', description: 'x' });
    expect((await experiences('types', 'delete', 'Gone')).stdout).toContain('Deleted      <time>');
    expect((await experiences('types', 'list')).stdout).not.toContain('Gone');
    expect((await experiences('types', 'list', '--show-deleted')).stdout).toMatch(/^Gone +1 .*<time>/m);
    expect((await experiences('types', 'undelete', 'Gone')).code).toBe(0);
    expect((await experiences('types', 'get', 'Gone')).stdout).not.toContain('Deleted');
  });
});

describe('create and list', () => {
  test('create prints the id alone, and the experience has what was given', async () => {
    const { code, stdout, stderr } = await experiences(
      ...['create', 'Summary', '--user', 'u1', '--property', 'a=b', '--property', 'c=d=e'],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(await service.client.experiences.get(stdout.trim())).toMatchObject({
      experienceType: 'Summary',
      userId: 'u1',
      properties: { a: 'b', c: 'd=e' },
    });
  });

  test('an id that is no UUID is replaced, and that is said', async () => {
    const { stdout, stderr } = await experiences('create', 'Summary', '--id', 'my-id');
    expect(stderr).toBe(`'my-id' is not a UUID; ${stdout.trim()} was made instead.\n`);
  });

  test('list shows exact costs below each other, what is unpriced beside them, the newest first', async () => {
    await service.client.types.create({ name: 'Listed', description: 'x' });
    const ids: string[] = [];
    for (const [model, input] of LISTED_CALLS) {
      const { event } = await service.client.usage.record({
        experienceType: 'Listed',
        provider: 'openai',
        model,
        units: { text: { input } },
      });
      ids.push(event.experienceId ?? '');
    }
    const [first, second, third] = ids;
    expect(
      (await experiences('list', 'Listed')).stdout,
    ).toBe(`EXPERIENCE${' '.repeat(28)}TYPE       CALLS         COST  UNPRICED  CREATED
${'─'.repeat(102)}
${third}  Listed v1      1  $1.5                   <time>
${second}  Listed v1      1                 1 call  <time>
${first}  Listed v1      1  $0.00000015            <time>
`);
    const limited = await experiences('list', 'Listed', '--limit', '1', '--json');
    expect(JSON.parse(limited.stdout)).toMatchObject([{ experienceId: third }]);
    expect(JSON.parse(limited.stderr)).toEqual({
      notice: { message: 'These are the first 1; there are more: --limit <n> shows them.' },
    });
    expect((await experiences('list', 'Listed', '--version', '2')).stdout).toBe(
      'There are no such experiences.\n',
    );
  });
});

const LISTED_CALLS = [
  ['gpt-4o-mini', 1],
  ['no-such-model', 1],
  ['gpt-4o-mini', 10_000_000],
] as const;

describe('cost and usage', () => {
  let id: string;
  beforeAll(async () => {
    const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
    id = experience.experienceId;
    const call = { experienceId: id, provider: 'openai', model: 'gpt-4o-mini', operationKey: 'op' };
    const calls = [
      { ...call, step: 'summarise 1 of 1', outcome: 'FAILED', latencyMs: 812, ...units(1000, 0) },
      {
        ...call,
        step: 'summarise 1 of 1',
        outcome: 'SUCCEEDED',
        latencyMs: 12_340,
        ...units(1000, 500, 2048),
      },
      { ...call, model: 'no-such-model', operationKey: 'other', ...units(7, 1) },
    ] as const;
    for (const each of calls) await service.client.usage.record({ ...each, eventTime: EVENT_TIME });
  });

  test('cost divides the exact total by direction and by use, and says what has no price', async () => {
    expect(await experiences('cost', id)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `Experience  ${id}
Type        Summary v1
Cost        $0.0007536 + 1 call unpriced
              input   $0.0004536
              output  $0.0003
              useful  $0.0006036
              wasted  $0.00015
Calls       3 (1 with unpriced units)
Units       text             2,007 in  501 out
            text_cache_read  2,048 in    0 out
First call  2025-01-02 03:04:05 UTC
Last call   2025-01-02 03:04:05 UTC
`,
    });
  });

  test('cost and list show a deleted experience only when asked for', async () => {
    const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
    const deleted = experience.experienceId;
    await service.client.experiences.delete(deleted);
    expect(await experiences('cost', deleted)).toMatchObject({ code: 1, stdout: '' });
    expect((await experiences('cost', deleted, '--show-deleted')).stdout).toContain(`Experience  ${deleted}`);
    expect((await experiences('list', 'Summary')).stdout).not.toContain(deleted);
    expect((await experiences('list', 'Summary', '--show-deleted')).stdout).toContain(deleted);
  });

  test('usage is a table of the calls, one line a unit kind, with a line of totals that names what is unpriced', async () => {
    expect(
      (await experiences('usage', id)).stdout,
    ).toBe(`STEP              MODEL          UNITS               IN  OUT        COST  LATENCY  OUTCOME    USE
${'─'.repeat(100)}
summarise 1 of 1  gpt-4o-mini    text             1,000    0  $0.00015     812 ms  failed     wasted
summarise 1 of 1  gpt-4o-mini    text             1,000  500  $0.0006036   12.3 s  succeeded  useful
                                 text_cache_read  2,048    0
–                 no-such-model  text                 7    1    unpriced           succeeded  useful
${'─'.repeat(100)}
3 calls                          text             2,007  501  $0.0007536
                                 text_cache_read  2,048    0  + unpriced
Total: $0.0007536 + 1 call unpriced. Useful: $0.0006036 + 1 call unpriced. Wasted: $0.00015.
Unpriced: openai no-such-model, text: no price names the model.
`);
  });

  test('usage with a limit says that there is more', async () => {
    const { stdout, stderr } = await experiences('usage', id, '--limit', '2');
    expect(stdout).toContain('2 calls');
    expect(stderr).toBe('These are the first 2; there are more: --limit <n> shows them.\n');
  });

  test('with --json money is a decimal string, a count a number, a time ISO 8601, and absent is left out', async () => {
    const { stdout } = await experiences('cost', id, '--json');
    expect(JSON.parse(stdout)).toEqual({
      experienceId: id,
      experienceType: 'Summary',
      experienceVersion: 1,
      totals: {
        eventCount: 3,
        heldCost: '0',
        openReservationCount: 0,
        unsettledCost: '0',
        unsettledEventCount: 0,
        cost: { input: '0.0004536', output: '0.0003', total: '0.0007536', currencyCode: 'USD' },
        usefulCost: '0.0006036',
        wastedCost: '0.00015',
        unpricedEventCount: 1,
        units: { text: { input: 2007, output: 501 }, text_cache_read: { input: 2048, output: 0 } },
        firstEventTime: '2025-01-02T03:04:05.000Z',
        lastEventTime: '2025-01-02T03:04:05.000Z',
      },
    });
  });

  test('usage with --json is one array, and its costs add up to the total', async () => {
    const events: unknown = JSON.parse((await experiences('usage', id, '--json')).stdout);
    expect(events).toMatchObject([
      { cost: { total: '0.00015' }, useful: false },
      { cost: { total: '0.0006036' }, useful: true },
      { unpricedUnits: [{ kind: 'text', input: 7, output: 1, reason: 'MODEL_UNKNOWN' }], useful: true },
    ]);
  });

  test('an experience without calls costs $0; one whose calls have no price shows no amount', async () => {
    const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
    const none = await experiences('cost', experience.experienceId);
    expect(none.stdout).toContain('Cost        $0\nCalls       none recorded yet\n');
    const call = { experienceId: experience.experienceId, provider: 'nobody', model: 'm', ...units(1, 0) };
    await service.client.usage.record(call);
    const unpriced = await experiences('cost', experience.experienceId);
    expect(unpriced.stdout).toContain('Cost        1 call unpriced\nCalls       1 (1 with unpriced units)\n');
    expect(unpriced.stdout).not.toContain('$');
  });
});

const EVENT_TIME = new Date('2025-01-02T03:04:05Z');

function units(input: number, output: number, cached?: number) {
  const text = { input, output };
  return { units: cached === undefined ? { text } : { text, text_cache_read: { input: cached } } };
}

describe('costs, distribution and compare', () => {
  let books: TestService;
  const run = (...line: readonly string[]) => experiencesAt(books.address, ...line);
  beforeAll(async () => {
    books = await startTestService();
    const { client } = books;
    for (const name of ['Chat', 'Summary']) await client.types.create({ name, description: 'x' });
    await client.types.incrementVersion('Summary');
    await client.prices.create({
      provider: 'acme',
      model: 'one',
      rates: { text: { input: { base: '1' } } },
      effectiveTime: new Date('2020-01-01'),
    });
    const call = { provider: 'acme', model: 'one' };
    const january = { eventTime: new Date('2026-01-31T23:15:00Z') };
    const february = { eventTime: new Date('2026-02-01T00:00:00Z') };
    const one = { ...call, experienceType: 'Summary', experienceVersion: 1 };
    for (let input = 1; input <= 4; input += 1)
      await client.usage.record({ ...one, ...units(input, 0), ...january });
    const two = { ...one, experienceVersion: 2 };
    for (let input = 5; input <= 8; input += 1)
      await client.usage.record({ ...two, ...units(input, 0), ...february });
    await client.usage.record({
      ...call,
      experienceType: 'Chat',
      ...units(3, 0),
      outcome: 'FAILED',
      ...february,
    });
    await client.usage.record({
      ...call,
      model: 'none',
      experienceType: 'Chat',
      ...units(1, 0),
      ...february,
    });
    await client.usage.record({ ...call, model: 'none', ...units(1, 0), ...february });
  });
  afterAll(() => books.stop());

  const RANGE = ['--since', '2026-01-31', '--until', '2026-02-02'];

  test('costs adds up by type, with a line of all; what is unpriced or wasted stands beside it', async () => {
    expect(await run('costs', ...RANGE)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `Spent from 2026-01-31 00:00:00 UTC to 2026-02-02 00:00:00 UTC

TYPE     CALLS  COST  WASTED  UNPRICED
${'─'.repeat(38)}
none         1                  1 call
Chat         2    $3      $3    1 call
Summary      8   $36
${'─'.repeat(38)}
all         11   $39      $3   2 calls
`,
    });
  });

  test('costs of a type are apart by version, and in time by the bucket', async () => {
    const { stdout } = await run('costs', ...RANGE, '--type', 'Summary', '--bucket', 'month');
    expect(stdout).toContain(`
MONTH (UTC)  VERSION  CALLS  COST
${'─'.repeat(33)}
2026-01           v1      4   $10
2026-02           v2      4   $26
${'─'.repeat(33)}
all                       8   $36
`);
    const hours = await run('costs', ...RANGE, '--by', 'type,version,provider,model', '--bucket', 'hour');
    expect(hours.stdout).toContain(`
HOUR (UTC)        TYPE     VERSION  PROVIDER  MODEL  CALLS  COST  WASTED  UNPRICED
${'─'.repeat(82)}
2026-01-31 23:00  Summary       v1  acme      one        4   $10
2026-02-01 00:00  none        none  acme      none       1                  1 call
`);
  });

  test('costs may be of a part only', async () => {
    const costOf = async (...line: readonly string[]) => {
      const { stdout } = await run('costs', ...RANGE, '--json', ...line);
      return (JSON.parse(stdout) as { total: { eventCount: number } }).total.eventCount;
    };
    expect(await costOf('--untyped')).toBe(1);
    expect(await costOf('--type', 'Summary', '--version', '2')).toBe(4);
    expect(await costOf('--provider', 'nobody')).toBe(0);
    expect(await costOf('--model', 'none')).toBe(2);
    expect(await costOf('--since', '2026-02-01T00:00:00Z')).toBe(7);
    expect(await costOf('--until', '2026-02-01T01:00:00+01:00')).toBe(4);
  });

  test('costs are of the last seven days, today included, and say so where there are none', async () => {
    expect((await run('costs')).stdout).toMatch(
      /^No calls were made from \d{4}-\d\d-\d\d 00:00:00 UTC to <time>\.\n$/,
    );
    const { stdout } = await run('costs', '--json');
    const { startTime, endTime } = JSON.parse(stdout) as { startTime: string; endTime: string };
    expect(Date.parse(endTime) - Date.parse(startTime)).toBe(7 * 86_400_000);
    const ahead = Date.parse(endTime) - Date.now();
    expect([ahead > -60_000, ahead <= 86_400_000]).toEqual([true, true]);
  });

  test('costs with --json has the range, exact amounts and what each row is of', async () => {
    const { stdout } = await run('costs', ...RANGE, '--type', 'Summary', '--version', '1', '--json');
    const sum = {
      eventCount: 4,
      cost: { input: '10', output: '0', total: '10', currencyCode: 'USD' },
      usefulCost: '10',
      wastedCost: '0',
      unpricedEventCount: 0,
      units: { text: { input: 10, output: 0 } },
    };
    expect(JSON.parse(stdout)).toEqual({
      startTime: '2026-01-31T00:00:00.000Z',
      endTime: '2026-02-02T00:00:00.000Z',
      rows: [{ experienceVersion: 1, sum }],
      total: sum,
    });
  });

  test.each<[what: string, line: readonly string[], code: number, message: string]>([
    ['a half hour', ['--since', '2026-01-01T00:30:00Z'], 2, 'It must be a full hour in UTC'],
    [
      'an unknown dimension',
      ['--by', 'type,user'],
      2,
      'It must be one or more of type,version,provider,model',
    ],
    ['a dimension twice', ['--by', 'type,type'], 2, 'It must be one or more of'],
    ['versions of all types', ['--by', 'version'], 2, 'Give --by type,version'],
    ['a type and none', ['--type', 'Chat', '--untyped'], 2, 'cannot be used with'],
    ['an unknown bucket', ['--bucket', 'week'], 2, 'Allowed choices are hour, day, month'],
    ['an unknown type', ['--type', 'Missing'], 1, "There is no experience type 'Missing'"],
    ['too much', ['--since', '2020-01-01', '--bucket', 'hour'], 1, '--bucket, --type, --since and --until'],
  ])('costs refuse %s', async (_what, line, code, message) => {
    const ended = await run('costs', ...line);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toContain(message);
  });

  test('distribution shows figures, a chart and the dearest; ≈ stands before what is not exact', async () => {
    const { code, stdout } = await run(
      'distribution',
      'Summary',
      '--percentiles',
      '50,100',
      '--dearest',
      '2',
    );
    expect({ code, stdout: withoutIds(stdout) }).toEqual({
      code: 0,
      stdout: `Type         Summary v2
Experiences  4
Together     $26
Mean         $6.5
Cheapest     $5
p50          ≈ $6.057
p100         $8
Dearest      $8

ABOVE  UP TO  EXPERIENCES
${'─'.repeat(63)}
$4.92  $5.12            1  ████████████████████████████████████
$5.12  $5.33            0
$5.33  $5.54            0
$5.54  $5.76            0
$5.76  $6               0
$6     $6.24            1  ████████████████████████████████████
$6.24  $6.49            0
$6.49  $6.75            0
$6.75  $7.03            1  ████████████████████████████████████
$7.03  $7.31            0
$7.31  $7.61            0
$7.61  $7.91            0
$7.91  $8.07            1  ████████████████████████████████████

DEAREST                               CALLS  COST  CREATED
${'─'.repeat(74)}
<id>      1    $8  <time>
<id>      1    $7  <time>
`,
    });
  });

  test('distribution of a version nobody has used says so', async () => {
    await books.client.types.create({ name: 'Unused', description: 'x' });
    expect((await run('distribution', 'Unused')).stdout).toBe(
      'No call was recorded to an experience of Unused v1 yet.\n',
    );
  });

  test('distribution shows what is unpriced beside the cost of the dearest, never as zero', async () => {
    const { stdout } = await run('distribution', 'Chat');
    expect(withoutIds(stdout)).toContain(`
DEAREST${' '.repeat(31)}CALLS  COST  UNPRICED  CREATED
`);
  });

  test('compare shows two versions beside each other and whether the change is chance', async () => {
    // Of 70 ways to divide eight costs two are as uneven: p = 0.029.
    expect(await run('compare', 'Summary', '1', '2')).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `Summary            V1        V2  CHANGE
${'─'.repeat(39)}
Experiences         4         4
Mean           $2.5      $6.5    +160 %
Cheapest       $1        $5      +400 %
p50          ≈ $1.998  ≈ $6.057  +203 %
p75          ≈ $3.029  ≈ $6.958  +130 %
p90            $4        $8      +100 %
p95            $4        $8      +100 %
p99            $4        $8      +100 %
Dearest        $4        $8      +100 %

Version 2 is dearer (median +203 %), beyond chance (Mann-Whitney U, p = 0.029).
Of two random experiences that of version 2 is the dearer one in 100 % of cases.
`,
    });
    expect((await run('compare', 'Summary', '2', '1')).stdout).toContain(
      'Version 1 is cheaper (median −67 %), beyond chance (Mann-Whitney U, p = 0.029).',
    );
  });

  test('compare says what it cannot tell', async () => {
    const { client } = books;
    await client.types.create({ name: 'Young', description: 'x' });
    await client.types.incrementVersion('Young');
    const call = { provider: 'acme', model: 'one', experienceType: 'Young' };
    await client.usage.record({ ...call, experienceVersion: 1, ...units(0, 5), outcome: 'FAILED' });
    expect((await run('compare', 'Young', '1', '2')).stdout).toBe(
      'No call was recorded to an experience of Young v2 yet.\n',
    );
    await client.usage.record({ ...call, experienceVersion: 2, ...units(2, 0) });
    const { stdout } = await run('compare', 'Young', '1', '2');
    expect(stdout).toContain('p50          $0  $2     +$2\n');
    expect(stdout).toContain(
      'There are too few experiences to say whether version 2 differs (median +$2) beyond chance.\n',
    );
    const tiny = { text: { input: { base: '0.000000000000000001' } } };
    await client.prices.create({ provider: 'acme', model: 'tiny', rates: tiny });
    await client.types.incrementVersion('Young');
    await client.usage.record({ ...call, model: 'tiny', experienceVersion: 3, ...units(1, 0) });
    expect((await run('compare', 'Young', '3', '2')).stdout).toContain('  +$1.999999999999999999\n');
    const { stdout: json } = await run('compare', 'Young', '1', '2', '--json');
    expect(JSON.parse(json)).toMatchObject({
      comparison: { mean: { absolute: '2' }, rankTest: { method: 'NONE', verdict: 'TOO_FEW' } },
    });
  });
});

describe('record', () => {
  test('shows the exact cost; the same event id again is not counted', async () => {
    const line = [
      ...['record', '--type', 'Summary', '--provider', 'openai', '--model', 'gpt-4o-mini'],
      ...[
        '--units',
        'text=1000/500',
        '--units',
        'text_cache_read=1',
        '--event-id',
        'cli-1',
        '--latency',
        '5',
      ],
    ];
    const first = await experiences(...line);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(
      /^Event {7}cli-1\nExperience {2}[0-9a-f-]{36}\nType {8}Summary v1\nCost {8}\$0\.000450075 \(input \$0\.000150075, output \$0\.0003\)\nPrice /,
    );
    const again = await experiences(...line);
    expect(again).toMatchObject({
      code: 0,
      stdout: first.stdout,
      stderr: 'It was recorded before, and is not counted again.\n',
    });
  });

  test('shows units without a price with the reason, never as zero', async () => {
    const { stdout } = await experiences(
      ...[
        'record',
        '--provider',
        'openai',
        '--model',
        'gpt-4o-mini',
        '--units',
        'text=1',
        '--units',
        'smell=3',
      ],
    );
    expect(stdout).toContain(`Cost        $0.00000015 (input $0.00000015, output $0)
            + unpriced: openai gpt-4o-mini, smell: the model's price does not cover this kind of unit
`);
  });
});

describe('prices', () => {
  test('create takes rates per million exactly, and shows them per unit too', async () => {
    const created = await experiences(
      ...['prices', 'create', 'acme', 'large', '--per-million', '--from', '2025-01-31'],
      ...['--rate', 'text=2.5/0.000000000001', '--rate', 'image=/40000'],
    );
    expect(created).toMatchObject({ code: 0, stderr: '' });
    expect(withoutIds(created.stdout)).toBe(`Price     <id>
Provider  acme
Model     large
From      2025-01-31 00:00:00 UTC
Source    your own
Created   <time>

UNITS          IN  IN / 1M                    OUT             OUT / 1M
${'─'.repeat(70)}
image                       $0.04                  $40000
text   $0.0000025     $2.5  $0.000000000000000001      $0.000000000001
`);
    const [price] = JSON.parse((await experiences('prices', 'acme', 'large', '--json')).stdout) as [Listed];
    expect(price).toMatchObject({
      source: 'APPLICATION',
      rates: { text: { input: { base: '0.0000025' }, output: { base: '0.000000000000000001' } } },
    });
    expect((await experiences('prices', 'get', price.priceId)).stdout).toBe(created.stdout);

    expect((await experiences('prices', 'retire', price.priceId)).stdout).toContain(
      'the catalogue applies again',
    );
    expect((await experiences('prices', 'list', 'acme', '--source', 'own')).stdout).toMatch(
      /^acme large .* own\n.*\nacme large .* own, ended\n/m,
    );
  });

  test('rates per unit are taken as they are', async () => {
    await experiences('prices', 'create', 'acme', 'small', '--rate', 'text=0.00000015/0.0000006');
    const { stdout } = await experiences('prices', 'estimate', 'acme', 'small', 'text=1000/500');
    expect(withoutIds(stdout)).toBe('Cost   $0.00045 (input $0.00015, output $0.0003)\nPrice  <id>\n');
  });

  test.each([
    ['a price of the catalogue', ['openai', 'gpt-4o-mini', 'text=1000/500'], 'Cost   $0.00045 (input'],
    ['output only', ['openai', 'gpt-4o-mini', 'text=/1'], 'Cost   $0.0000006 (input $0, output'],
    [
      'what has no price',
      ['nobody', 'm', 'text=1'],
      'Cost  unpriced: nobody m, text: no price names the provider\n',
    ],
  ])('estimate of %s', async (_, line, expected) => {
    expect((await experiences('prices', 'estimate', ...line)).stdout).toContain(expected);
  });

  test('list shows prices per million and each once, without rates that repeat another kind', async () => {
    const { stdout } = await experiences('prices', 'openai', 'gpt-4o-mini');
    expect(stdout.split('\n')[0]).toBe(
      'MODEL, PRICE ID                       UNITS                   IN / 1M  OUT / 1M  FROM    SOURCE',
    );
    expect(withoutIds(stdout)).toMatch(/^<id> +text +\$0\.15 +\$0\.6$/m);
    expect(stdout).not.toContain('vision');
  });
});

interface Listed {
  readonly priceId: string;
}

describe('documents', () => {
  test('upload prints the id alone, show says what is kept, delete ends it', async () => {
    const id = '7f1c3d2e-0000-4000-8000-00000000d0c5';
    const path = join(folder, 'large-document.txt');
    await writeFile(path, 'x'.repeat(1_500_000));
    const upload = ['documents', 'upload', path, '--id', id];
    for (const line of [upload, upload]) {
      expect(await experiences(...line)).toMatchObject({ code: 0, stdout: `${id}\n`, stderr: '' });
    }
    const shown = await experiences('documents', 'show', id);
    expect(shown.stdout).toMatch(
      new RegExp(
        `^Document    ${id}
Name        large-document.txt
Bytes       1,500,000
SHA-256     [0-9a-f]{64}
Created     <time>
Kept until  <time>
$`,
      ),
    );
    expect(await experiences('documents', 'delete', id)).toMatchObject({
      code: 0,
      stdout: 'It is deleted.\n',
    });
    expect(await experiences('documents', 'delete', id)).toMatchObject({
      code: 0,
      stdout: 'There was no such document.\n',
    });
    const gone = await experiences('documents', 'show', id);
    expect(gone).toMatchObject({ code: 1, stdout: '' });
    expect(gone.stderr).toContain('There is no document');
  });

  test('upload takes a name and for how long it is kept', async () => {
    const path = join(folder, 'report.txt');
    const { stdout } = await experiences(
      'documents',
      'upload',
      path,
      '--name',
      'A report',
      '--keep',
      '0.5',
      '--json',
    );
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ name: 'A report', sizeBytes: 44, committed: true });
    expect(Date.parse(document.expireTime) - Date.parse(document.createTime)).toBe(43_200_000);
    expect((await experiences('documents', 'upload', path, '--keep', '366')).code).toBe(2);
  });
});

describe('runs that a worker carries out', () => {
  let own: TestService;
  beforeAll(async () => {
    // Slow enough that a run of several parts tells of its progress in several steps.
    const provider = await startTestProvider({ latencyMs: 400 });
    own = await startTestService();
    await own.client.types.create({
      name: 'Runnable',
      description: 'x',
      workflowType: 'documentSummarization',
    });
    const worker = await startTestWorker(own, provider);
    return async () => {
      await worker.stop();
      await own.stop();
      await provider.stop();
    };
  });

  test('start --watch follows a run to its end and prints its result and its exact cost', async () => {
    const line = ['start', 'Runnable', join(folder, 'report.txt'), '--watch'];
    const { code, stdout, stderr } = await experiencesAt(own.address, ...line);
    const id = /^Started (.*)\.\n/.exec(stderr)?.[1] ?? '';
    const { totals } = await own.client.costs.get(id);
    expect({ code, totals }).toMatchObject({ code: 0, totals: { eventCount: 1n } });
    expect(totals.cost.total).not.toBe('0');
    expect(stdout).toContain(`State       completed\n`);
    expect(stdout).toContain(`Cost        $${totals.cost.total}\nCalls       1\n`);
    expect(stdout).toMatch(/\n\nsummary {5}\S.*\nchunkCount {2}1\nlevelCount {2}0\n$/s);
  });

  test('a large file is uploaded first, and a run may get a budget, which can be raised', async () => {
    const path = join(folder, 'longer.txt');
    await writeFile(path, 'The harbour was busy. '.repeat(30_000));
    const parameters = '{"chunkTokens": 100000}';
    const line = ['start', 'Runnable', path, '--parameters', parameters, '--budget', '2.50', '--watch'];
    const { code, stdout, stderr } = await experiencesAt(own.address, ...line);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/\nBudget {6}\$0\.\d+ of \$2\.5 spent\n/);
    const id = /^Started (.*)\.\n/.exec(stderr)?.[1] ?? '';
    const raised = await experiencesAt(own.address, 'budget', 'raise', id, '3');
    expect(raised).toMatchObject({ code: 0, stdout: expect.stringContaining('$3') });
    expect(raised.stderr).toContain('No run of it goes on that could be told.');
    const none = await experiencesAt(own.address, 'start', 'Runnable', path, '--document-id', id);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('not both') });
  });

  test('a run that fails is exit code 1, and with --json still one document on standard output', async () => {
    const line = ['start', 'Runnable', join(folder, 'report.txt'), '--watch', '--json'];
    const failed = await experiencesAt(own.address, ...line, '--parameters', '{"chunkTokens": 1}');
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      run: { state: 'FAILED', failure: { type: 'BadParameter' } },
    });
    expect(JSON.parse(failed.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
      error: { code: 'RUN_NOT_COMPLETED', exitCode: 1 },
    });
  });

  test('a reader that has seen enough of the progress ends the watching quietly', async () => {
    const path = join(folder, 'parts.txt');
    const paragraph = 'Every call is recorded with what it cost, to the last digit. '.repeat(8);
    await writeFile(path, Array.from({ length: 8 }, () => paragraph).join('\n\n'));
    const parameters = `'{"chunkTokens": 100, "parallelCalls": 1}'`;
    const piped = await pipedToHead(
      own.address,
      `start Runnable '${path}' --watch --parameters ${parameters} 2>&1`,
    );
    expect(piped).toMatchObject({ stdout: expect.stringMatching(/^Started .*\n$/), stderr: 'code 0\n' });
  });
});

describe('runs', () => {
  test('Ctrl-C while watching says that the run goes on and how to look at it again', async () => {
    const { run } = await service.client.runs.start({
      experienceType: 'Runnable',
      document: { content: 'text' },
    });
    const id = run.experienceId;
    const watching = startCli(service.address, ['run', id, '--watch']);
    await waitUntil('it watches', () => (watching.stderr().includes('running') ? true : undefined));
    watching.kill('SIGINT');
    expect(await watching.ended).toMatchObject({
      code: 130,
      stdout: '',
      stderr: `running
Stopped watching; the run itself goes on.
  \`experiences run ${id} --watch\` watches it again, \`experiences cancel ${id}\` ends it.
`,
    });
    expect((await service.client.runs.get(id)).state).toBe('RUNNING');
    expect((await experiences('run', id)).stdout).toMatch(/^State {7}running$/m);
    const cancelled = await experiences('cancel', id, '--reason', 'the test is over');
    expect(cancelled).toMatchObject({
      code: 0,
      stderr: `It is asked to stop; \`experiences run ${id}\` shows when it has.\n`,
    });
  });

  test('watching outlives a restart of the service, and a run that did not complete is exit code 1', async () => {
    const before = await startTestService();
    await before.client.types.create({ name: 'Runnable', description: 'x', workflowType: 'none' });
    const { run } = await before.client.runs.start({
      experienceType: 'Runnable',
      document: { content: 'text' },
    });
    const watching = startCli(before.address, ['run', run.experienceId, '--watch', '--timeout', '4']);
    const heardTime = await waitUntil('it watches', () =>
      watching.stderr().includes('running') ? performance.now() : undefined,
    );
    // Nothing changes meanwhile, so nothing is sent: that is no sign that the service is away.
    await waitUntil('a silence', () => (performance.now() - heardTime > 4_500 ? true : undefined));
    await before.stop();
    const after = await startTestService({ ...before.options, listen: before.address });
    onTestFinished(() => after.stop());
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    onTestFinished(() => connection.close());
    await new WorkflowClient({ connection }).getHandle(run.workflowId).terminate('the test is over');
    const { code, stdout, stderr } = await watching.ended;
    expect({ code, stderr: stderr.split('\n').at(-2) }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^error: The run of .* was terminated: /),
    });
    expect(stdout).toMatch(/^State {7}terminated: /m);
  });

  test('start with the same id and request answers the same run, and says so; another request is refused', async () => {
    const id = '01900000-0000-7000-8000-000000000001';
    const line = ['start', 'Runnable', '-', '--id', id];
    expect(await experiencesReading('text', ...line)).toMatchObject({
      code: 0,
      stdout: `${id}\n`,
      stderr: '',
    });
    const again = await experiencesReading('text', ...line);
    expect(again).toMatchObject({ code: 0, stdout: `${id}\n`, stderr: 'It was started before.\n' });
    const other = await experiencesReading('another text', ...line);
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toContain('without --id a new one is started.');
  });
});

describe('refusals', () => {
  test.each<[string, readonly string[], string]>([
    [
      'a type that does not exist',
      ['types', 'get', 'Nope'],
      `error: There is no experience type 'Nope'.
  \`experiences types list\` shows the types there are; \`experiences types create\` makes one.
`,
    ],
    [
      'a version that does not exist',
      ['create', 'Summary', '--version', '9'],
      `error: The experience type 'Summary' has no version 9.
  \`experiences types versions Summary\` shows its versions.
`,
    ],
    [
      'an experience that does not exist',
      ['cost', 'abc'],
      `error: There is no experience 'abc'.
  \`experiences list\` shows the newest experiences.
`,
    ],
    [
      'a price that does not exist',
      ['prices', 'get', 'abc'],
      `error: There is no price 'abc' of this application or the catalogue.
  \`experiences prices <provider> <model>\` shows prices with their ids.
`,
    ],
    [
      'a name that is taken',
      ['types', 'create', 'Summary', '--description', 'another'],
      `error: The experience type 'Summary' exists with other content.
  \`experiences types get Summary --show-deleted\` shows it; \`experiences types update Summary\` changes it.
`,
    ],
    [
      'a stale etag',
      ['types', 'update', 'Summary', '--description', 'x', '--etag', '"99"'],
      `error: The experience type 'Summary' has changed; its etag is now "1".
  Look at it again, then repeat with its current etag, or without --etag.
`,
    ],
    [
      'a type that names no workflow',
      ['start', 'Summary', '--parameters', '{}'],
      `error: The experience type 'Summary' names no workflow to start.
  Name one with \`experiences types update Summary --workflow <type>\`.
`,
    ],
    [
      'several bad fields, each on a line',
      ['record', '--provider', 'p', '--model', 'm', '--units', 'text=9999999999999', '--user', 'a b'],
      `error: The service refuses the request:
  record.units[text].input: must not be more than 1000000000000
  record.attribution.user_id: must be at most 256 printable ASCII characters without space
`,
    ],
  ])('%s: exit code 1, and what to do', async (_, line, stderr) => {
    expect(await experiences(...line)).toMatchObject({ code: 1, stdout: '', stderr });
  });

  test('an experience that was never started has no run to show or cancel', async () => {
    const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
    const id = experience.experienceId;
    const stderr = `error: The experience '${id}' was never started as a run.
  \`experiences cost ${id}\` shows what was recorded to it.
`;
    for (const line of [['run'], ['run', '--watch'], ['cancel']]) {
      expect(await experiences(...line, id)).toMatchObject({ code: 1, stdout: '', stderr });
    }
  });

  test('with --json an error is one JSON object on standard error', async () => {
    const { code, stdout, stderr } = await experiences(
      ...['record', '--provider', 'p', '--model', 'm', '--units', 'text=9999999999999', '--json'],
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_FIELDS',
        message: 'record.units[text].input: must not be more than 1000000000000',
        violations: [
          { field: 'record.units[text].input', description: 'must not be more than 1000000000000' },
        ],
        exitCode: 1,
      },
    });
  });
});

describe('wrong usage', () => {
  // Found before anything is reached, so this process does for these.
  test.each<[string, readonly string[], string]>([
    ['an unknown command', ['crate', 'X'], "unknown command 'crate' (Did you mean create?)"],
    ['an unknown option', ['types', 'list', '--nope'], "unknown option '--nope'"],
    ['a missing argument', ['cost'], "missing required argument 'id'"],
    ['a missing option', ['types', 'create', 'X'], "required option '--description <text>' not specified"],
    ['nothing to change', ['types', 'update', 'Summary'], 'There is nothing to change.'],
    [
      'a run without anything to work on',
      ['start', 'Runnable'],
      'A run needs a file to work on, --document-id, or --parameters.',
    ],
    [
      'a file that is not there',
      ['start', 'Runnable', '/no/file'],
      "'/no/file' cannot be read: there is no such file.",
    ],
    ['a folder for a file', ['start', 'Runnable', '/'], "'/' cannot be read: it is a folder."],
    [
      'units that are none',
      ['prices', 'estimate', 'p', 'm', 'text=1.5'],
      'It must be kind=input/output in whole numbers',
    ],
    ['a kind given twice', ['prices', 'estimate', 'p', 'm', 'text=1', 'text=2'], "'text' is given twice."],
    ['a rate that is none', ['prices', 'create', 'p', 'm', '--rate', 'text=1e-6'], 'in decimal numbers'],
    ['a day that is none', ['prices', 'retire', 'x', '--at', '2026-02-30'], 'It must be a time such as'],
    [
      'a time without zone',
      ['prices', 'retire', 'x', '--at', '2026-02-03T04:05'],
      'It must be a time such as',
    ],
    ['a property that is none', ['create', 'Summary', '--property', 'a'], 'It must be key=value.'],
    [
      'parameters that are no object',
      ['start', 'Runnable', '--parameters', '[1]'],
      'It must be a JSON object',
    ],
    ['a limit of nothing', ['list', '--limit', '0'], 'It must be a whole number from 1 to 10,000.'],
    ['an address without port', ['list', '--address', 'localhost'], 'It must be host:port.'],
  ])('%s: exit code 2, and what is wrong', async (_, line, message) => {
    const texts = { stdout: '', stderr: '' };
    const code = await runCommandLine(line, {
      environment: {},
      stdin: Readable.from([]),
      stdout: { write: (text) => (texts.stdout += text) },
      stderr: { write: (text) => (texts.stderr += text) },
      onInterrupt: () => () => undefined,
    });
    expect({ code, stdout: texts.stdout }).toEqual({ code: 2, stdout: '' });
    expect(texts.stderr).toMatch(/^error: /);
    expect(texts.stderr).toContain(message);
    expect(texts.stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
  });

  test('a text that is larger than a run takes is refused before anything is started', async () => {
    const path = join(folder, 'large.txt');
    await writeFile(path, 'x'.repeat(50 * 1024 * 1024 + 1));
    const { code, stderr } = await experiences('start', 'Runnable', path);
    expect(code).toBe(2);
    expect(stderr).toContain('has more than the 50 MiB that a run takes');
  });

  test('with --json it is a JSON object too', async () => {
    const { code, stderr } = await experiences('types', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'BAD_USAGE', message: 'A command is missing.', exitCode: 2 },
    });
  });

  test('an address in the environment is looked at too', async () => {
    expect(await experiencesAt('localhost', 'list')).toMatchObject({
      code: 2,
      stderr: "error: EXPERIENCES_ADDRESS must be host:port, not 'localhost'.\n",
    });
  });

  test('--help is exit code 0 and names the commands and the exit codes', async () => {
    const { code, stdout } = await experiences('--help');
    expect(code).toBe(0);
    for (const name of [
      'types',
      'create',
      'start',
      'run',
      'cancel',
      'record',
      'cost',
      'usage',
      'list',
      'prices',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
    expect(stdout).toMatch(/Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 .*\n/);
  });
});

describe('a service that cannot be reached', () => {
  test.each<[string, () => Promise<string>, string]>([
    ['nothing listens', closedAddress, 'The service cannot be reached at'],
    ['what listens is silent', silentAddress, 'The service cannot be reached at'],
    ['something else answers', otherAddress, 'is not the Experiences service (UNIMPLEMENTED)'],
  ])('%s: exit code 3 within 4 seconds of its start, and what to do', async (_, openAddress, message) => {
    const address = await openAddress();
    const { ms: startMs } = await experiences('--help');
    const { code, stdout, stderr, ms } = await experiencesAt(address, 'types', 'list');
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain(address);
    expect(stderr).toContain(
      'Start one with `npm start`, or name another with --address or EXPERIENCES_ADDRESS.\n',
    );
    expect(ms - startMs).toBeLessThan(4_000);
  });

  test('--address comes before EXPERIENCES_ADDRESS', async () => {
    const { code } = await experiencesAt(
      await closedAddress(),
      'types',
      'list',
      '--address',
      service.address,
    );
    expect(code).toBe(0);
  });
});

describe('output', () => {
  test('a reader that has seen enough ends the command quietly', async () => {
    const piped = await pipedToHead(service.address, 'prices --limit 10000 --json');
    expect(piped).toMatchObject({ stdout: '[\n', stderr: 'code 0\n' });
  });

  test('has no colours, and no control characters that came from outside', async () => {
    await service.client.types.create({ name: 'Tricky', description: 'left\u202eright' });
    const { stdout } = await startCli(service.address, ['types', 'get', 'Tricky'], { FORCE_COLOR: '1' })
      .ended;
    expect(stdout).toContain('Description  left\\u202eright\n');
    expect(stdout).not.toContain('\u001b');
  });

  test('a count in JSON is a number as long as it is exact, else a string', () => {
    expect(JSON.parse(jsonText({ safe: 2n ** 53n - 1n, beyond: 2n ** 53n }))).toEqual({
      safe: 9_007_199_254_740_991,
      beyond: '9007199254740992',
    });
  });
});

interface EndedCommand {
  readonly code: number | null;
  /** Times since the tests began stand as `<time>`. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

interface RunningCommand {
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<EndedCommand>;
}

async function experiences(...line: readonly string[]): Promise<EndedCommand> {
  return startCli(service.address, line).ended;
}

async function experiencesAt(address: string, ...line: readonly string[]): Promise<EndedCommand> {
  return startCli(address, line).ended;
}

async function experiencesReading(input: string, ...line: readonly string[]): Promise<EndedCommand> {
  return startCli(service.address, line, {}, input).ended;
}

/** The command as users run it, a process of its own, from the build. */
function startCli(
  address: string,
  line: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  input = '',
): RunningCommand {
  const nodeArguments = [MAIN, ...line];
  return startProcess(address, process.execPath, nodeArguments, environment, input);
}

/** As in `experiences … | head -n 1`; the command's own exit code is told on standard error. */
async function pipedToHead(address: string, line: string): Promise<EndedCommand> {
  const command = `"${process.execPath}" ${MAIN} ${line}; echo "code $?" >&2`;
  return startProcess(address, '/bin/sh', ['-c', `{ ${command}; } | head -n 1`]).ended;
}

function startProcess(
  address: string,
  command: string,
  commandArguments: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  input = '',
): RunningCommand {
  const startedAt = performance.now();
  const child = spawn(command, commandArguments, {
    cwd: PACKAGE_ROOT,
    env: { ...process.env, EXPERIENCES_ADDRESS: address, ...environment },
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      texts[name] += text;
    });
  }
  child.stdin.on('error', () => undefined); // A command that does not read may end before all is written.
  child.stdin.end(input);
  const ended = new Promise<EndedCommand>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const ms = performance.now() - startedAt;
      resolve({ code, stdout: withoutTimes(texts.stdout), stderr: withoutTimes(texts.stderr), ms });
    });
  });
  return { stderr: () => texts.stderr, kill: (signal) => void child.kill(signal), ended };
}

function withoutTimes(text: string): string {
  return text.replaceAll(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g, (shown, day: string, clock: string) =>
    Date.parse(`${day}T${clock}Z`) > BEGIN_TIME_MS - 1_000 ? '<time>' : shown,
  );
}

function withoutIds(text: string): string {
  return text.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>');
}

async function closedAddress(): Promise<string> {
  const server = createServer();
  const address = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return address;
}

async function silentAddress(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listen(server);
}

/** Speaks HTTP/2 as gRPC does, and knows nothing of the service. */
async function otherAddress(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createHttp2Server((_, response) => {
    response.writeHead(404);
    response.end();
  });
  server.on('connection', (socket: Socket) => sockets.add(socket));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listen(server);
}

async function listen(server: Server | Http2Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const MAIN = join('dist', 'services', 'cli', 'main.js');
const BEGIN_TIME_MS = Date.now();
