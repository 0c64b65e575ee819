import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { startTestService, type TestService } from './support/service.js';

const BOOTSTRAP_KEY = 'a-bootstrap-key-of-at-least-32-characters';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ bootstrapKey: BOOTSTRAP_KEY });
});
afterAll(() => service.stop());

describe('apps', () => {
  test('create makes an application and says how to go on; the same again says that it exists', async () => {
    const line = ['apps', 'create', 'team-a', '--description', 'Team A'];
    const shown = `Application  team-a
Description  Team A
Created      <time>
`;
    expect(await experiences(line)).toEqual({
      code: 0,
      stdout: shown,
      stderr: '`experiences --application team-a keys create` makes its first key.\n',
    });
    expect(await experiences(line)).toEqual({
      code: 0,
      stdout: shown,
      stderr: 'It exists already, with the same content.\n',
    });
  });

  test('list shows all of them in the order of their ids; update changes one', async () => {
    await experiences(['apps', 'create', 'strict', '--strict-ids']);
    expect(
      (await experiences(['apps', 'list'])).stdout,
    ).toBe(`APPLICATION  CREATED                  STRICT IDS  DESCRIPTION
${'─'.repeat(61)}
default      <time>
strict       <time>  yes
team-a       <time>              Team A
`);
    const changed = await experiences(['apps', 'update', 'strict', '--no-strict-ids', '--json']);
    expect(JSON.parse(changed.stdout)).toMatchObject({ applicationId: 'strict', strictIds: false });
    expect(await experiences(['apps', 'update', 'strict'])).toMatchObject({ code: 2 });
  });

  test('that are not there, or whose id is none, are told', async () => {
    expect(await experiences(['--application', 'nobody', 'types', 'list'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: There is no application 'nobody'.
  \`experiences apps list\` shows the applications there are; \`experiences apps create\` makes one.
`,
    });
    const bad = await experiences(['apps', 'create', 'Team_A']);
    expect([bad.code, bad.stderr]).toEqual([
      2,
      expect.stringContaining("It must be 1-32 lower-case letters, digits or '-'."),
    ]);
  });
});

describe('keys', () => {
  test('create prints the key this once; with it the command does what its scopes open', async () => {
    const created = await experiences([
      '--application',
      'team-a',
      'keys',
      'create',
      '--description',
      'checkout',
    ]);
    expect(created).toEqual({
      code: 0,
      stdout: `Key          <key id>
Application  team-a
Scopes       read, record
Description  checkout
Created      <time>

<key>
`,
      stderr: SHOWN_ONCE,
    });
    const { keyText, key } = JSON.parse(
      (await raw(['--application', 'team-a', 'keys', 'create', '--scopes', 'read', '--json'])).stdout,
    ) as { keyText: string; key: { keyId: string; scopes: string[] } };
    expect(key.scopes).toEqual(['READ']);
    expect((await experiences(['types', 'list'], keyText)).code).toBe(0);
    expect(await experiences(['types', 'create', 'Own', '--description', 'Any'], keyText)).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: The key lacks the scope ADMIN.
  A key keeps its scopes: \`experiences keys create --scopes …\` makes another one.
`,
    });
    const foreign = await experiences(['--application', 'default', 'types', 'list'], keyText);
    expect(foreign).toMatchObject({ code: 1, stderr: expect.stringContaining('Only the bootstrap key') });

    const listed = await raw(['--application', 'team-a', 'keys', 'list']);
    expect(listed.stdout).toContain(key.keyId);
    expect(listed.stdout).not.toContain(keyText);
    const revoked = await experiences(['--application', 'team-a', 'keys', 'revoke', key.keyId]);
    expect(revoked.stdout).toBe(`Key          <key id>
Application  team-a
Scopes       read
Created      <time>
Revoked      <time>
`);
    const refused = await experiences(['types', 'list'], keyText);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(
        /^error: The call has no valid key: .*\n {2}Set EXPERIENCES_API_KEY to a live key/,
      ),
    ]);
    expect(
      (await experiences(['--application', 'team-a', 'keys', 'list'])).stdout,
    ).toBe(`KEY                       SCOPES        CREATED                  REVOKED                  DESCRIPTION
${'─'.repeat(101)}
<key id>  read          <time>  <time>
<key id>  read, record  <time>                           checkout
`);
  });

  test('the first of a service without one tells who has to be started again', async () => {
    const open = await startTestService();
    const created = await experiences(['--address', open.address, 'keys', 'create', '--scopes', 'admin'], '');
    await open.stop();
    expect(created).toMatchObject({ code: 0, stderr: `${SHOWN_ONCE}${FIRST}` });
  });

  test.each(['', 'nothing', 'read,read', 'READ'])('have known scopes: %j is refused', async (scopes) => {
    const { code, stderr } = await experiences(['keys', 'create', '--scopes', scopes]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('It must be one or more of read,record,admin.'),
    ]);
  });

  test('that hold what no key does are refused before they are sent', async () => {
    const { code, stderr } = await experiences(['types', 'list'], 'a key\nof two lines');
    expect([code, stderr]).toEqual([2, 'error: EXPERIENCES_API_KEY holds characters that no key has.\n']);
  });

  test('are needed: without one the command says so', async () => {
    const { code, stderr } = await experiences(['types', 'list', '--json'], '');
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'UNAUTHENTICATED', reason: 'INVALID_API_KEY', hint: expect.any(String) },
    });
  });
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Without what differs from run to run. */
async function experiences(line: readonly string[], apiKey = BOOTSTRAP_KEY): Promise<Ended> {
  const { code, stdout, stderr } = await raw(line, apiKey);
  const steady = (text: string) =>
    text
      .replaceAll(/exp_[0-9a-f]{24}_[A-Za-z0-9_-]{43}/g, '<key>')
      .replaceAll(/\b[0-9a-f]{24}\b/g, '<key id>')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, '<time>');
  return { code, stdout: steady(stdout), stderr: steady(stderr) };
}

async function raw(line: readonly string[], apiKey = BOOTSTRAP_KEY): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = {
      PATH: process.env.PATH,
      EXPERIENCES_ADDRESS: service.address,
      EXPERIENCES_API_KEY: apiKey,
    };
    execFile(process.execPath, [COMMAND, ...line], { env, timeout: 20_000 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}

const SHOWN_ONCE =
  'The key is shown this once: keep it where its callers read EXPERIENCES_API_KEY; to the HTTP gateway they send it as xProxy-api-key.\n';
const FIRST =
  'From now on calls without a key are refused: start the gateway and the worker again with EXPERIENCES_API_KEY.\n';
const COMMAND = join(PACKAGE_ROOT, 'dist', 'services', 'cli', 'main.js');
