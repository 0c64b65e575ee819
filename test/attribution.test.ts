import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attributionMetadata, ExperiencesClient, type RecordedUsage } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { recordTogether } from './support/record-together.js';
import { startTestService, type TestService } from './support/service.js';

const { RecordUsage } = contract.UsageService.service;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

let service: TestService;
let strict: TestService;
let raw: RawClient;
beforeAll(async () => {
  [service, strict] = await Promise.all([startTestService(), startTestService({ strictIds: true })]);
  raw = new RawClient(service.address);
  for (const { types } of [service.client, strict.client]) {
    await types.create({ name: 'Summary', description: 'Summarises a document' });
    await types.create({ name: 'Chat', description: 'Answers questions', workflowType: 'chat' });
  }
  await service.client.types.incrementVersion('Summary');
});
afterAll(async () => {
  raw.close();
  await Promise.all([service.stop(), strict.stop()]);
});

/** What a call says of its attribution. */
interface Stated {
  readonly experienceType?: string;
  readonly experienceVersion?: number;
  readonly experienceId?: string;
  readonly eventId?: string;
}

async function recordByMessage(stated: Stated, { client } = service): Promise<RecordedUsage> {
  return client.usage.record({ ...CALL, ...stated });
}

async function recordByMetadata(stated: Stated, { address } = service): Promise<RecordedUsage> {
  const { experienceType: experienceName, eventId, ...rest } = stated;
  const metadata = attributionMetadata({
    ...rest,
    ...(experienceName === undefined ? {} : { experienceName }),
  });
  const client = new ExperiencesClient({ address, metadata });
  try {
    return await client.usage.record({ ...CALL, ...(eventId === undefined ? {} : { eventId }) });
  } finally {
    client.close();
  }
}

const DOORS = [
  ['the message', recordByMessage, 'record.attribution.experience_id'],
  ['the metadata', recordByMetadata, 'xproxy-experience-id'],
] as const;

/** Experience ids of every kind, each fresh; `Summary` was made at version 1 and is at version 2 now. */
const IDS = {
  'no id': async () => undefined,
  'an id never seen': async () => randomUUID(),
  'the id of a Summary': async () =>
    idOf(service.client.experiences.create({ experienceType: 'Summary', experienceVersion: 1 })),
  'the id of a Chat': async () => idOf(service.client.experiences.create({ experienceType: 'Chat' })),
  'the id of an untyped experience': async () => {
    const experienceId = randomUUID();
    await recordByMessage({ experienceId });
    return experienceId;
  },
  'an id that is no UUID': async () => 'order 17',
} satisfies Record<string, () => Promise<string | undefined>>;
type IdKind = keyof typeof IDS;

async function idOf(
  created: Promise<{ readonly experience: { readonly experienceId: string } }>,
): Promise<string> {
  return (await created).experience.experienceId;
}

describe.each(DOORS)('an event that names, in %s,', (_door, record, idField) => {
  type Flags = '' | 'created' | 'created, replaced';
  test.each<
    [
      type: string | undefined,
      id: IdKind,
      goesTo: 'none' | 'that' | 'fresh',
      becomes: string,
      flags: Flags,
      warnings: string[],
    ]
  >([
    [undefined, 'no id', 'none', 'undefined@undefined', '', []],
    [undefined, 'an id never seen', 'that', 'undefined@undefined', 'created', []],
    [undefined, 'the id of a Summary', 'that', 'Summary@1', '', []],
    [undefined, 'the id of a Chat', 'that', 'Chat@1', '', []],
    [undefined, 'the id of an untyped experience', 'that', 'undefined@undefined', '', []],
    [
      undefined,
      'an id that is no UUID',
      'fresh',
      'undefined@undefined',
      'created, replaced',
      ['EXPERIENCE_ID_REPLACED'],
    ],
    ['Summary', 'no id', 'fresh', 'Summary@2', 'created', []],
    ['Summary', 'an id never seen', 'that', 'Summary@2', 'created', []],
    ['Summary', 'the id of a Summary', 'that', 'Summary@1', '', []],
    ['Summary', 'the id of a Chat', 'that', 'Chat@1', '', ['OTHER_EXPERIENCE_TYPE']],
    ['Summary', 'the id of an untyped experience', 'that', 'Summary@2', '', []],
    [
      'Summary',
      'an id that is no UUID',
      'fresh',
      'Summary@2',
      'created, replaced',
      ['EXPERIENCE_ID_REPLACED'],
    ],
  ])('type %s and %s goes to %s experience, %s', async (type, idKind, goesTo, becomes, flags, warnings) => {
    const experienceId = await IDS[idKind]();
    const before = experienceId === undefined ? 0n : await eventCount(experienceId);
    const recorded = await record({
      ...(type === undefined ? {} : { experienceType: type }),
      ...(experienceId === undefined ? {} : { experienceId }),
    });

    const { event } = recorded;
    if (goesTo === 'none') expect(event.experienceId).toBeUndefined();
    else if (goesTo === 'that') expect(event.experienceId).toBe(experienceId);
    else expect(event.experienceId).toMatch(UUID_V7);
    expect(`${event.experienceType}@${event.experienceVersion}`).toBe(becomes);
    expect(recorded.experienceCreated).toBe(flags.includes('created'));
    expect(recorded.experienceIdReplaced).toBe(flags.includes('replaced'));
    expect(recorded.warnings.map(({ code }) => code)).toEqual(warnings);

    if (event.experienceId === undefined) return;
    const experience = await service.client.experiences.get(event.experienceId);
    expect(`${experience.experienceType}@${experience.experienceVersion}`).toBe(becomes);
    expect(experience.totals.eventCount).toBe(before + 1n);
  });

  test.each(Object.keys(IDS) as IdKind[])(
    'an unknown type and %s is refused and leaves nothing behind',
    async (idKind) => {
      const experienceId = await IDS[idKind]();
      const before = experienceId === undefined ? 0n : await eventCount(experienceId);
      const eventId = randomUUID();
      await expect(
        record({
          experienceType: 'Missing',
          eventId,
          ...(experienceId === undefined ? {} : { experienceId }),
        }),
      ).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'EXPERIENCE_TYPE_NOT_FOUND',
        metadata: { experience_type: 'Missing' },
      });
      if (experienceId !== undefined) expect(await eventCount(experienceId)).toBe(before);
      expect((await recordByMessage({ eventId })).duplicate).toBe(false);
    },
  );

  test.each<[spelling: string, spell: (uuid: string) => string]>([
    ['in lower case', (uuid) => uuid],
    ['in upper case', (uuid) => uuid.toUpperCase()],
    ['in braces', (uuid) => `{${uuid}}`],
    ['in upper case and braces', (uuid) => `{${uuid.toUpperCase()}}`],
  ])('a UUID %s names the same experience', async (_spelling, spell) => {
    const experienceId = randomUUID();
    for (const expectedCreated of [true, false]) {
      const { event, experienceCreated } = await record({ experienceId: spell(experienceId) });
      expect(event.experienceId).toBe(experienceId);
      expect(experienceCreated).toBe(expectedCreated);
    }
  });

  test.each([
    ['an opening brace only', '{018f3c2e-0000-7000-8000-000000000001'],
    ['no dashes', '018f3c2e000070008000000000000001'],
    ['a URN', 'urn:uuid:018f3c2e-0000-7000-8000-000000000001'],
    ['a digit too many', '018f3c2e-0000-7000-8000-0000000000011'],
    ['a letter beyond f', '018f3c2e-0000-7000-8000-00000000000g'],
  ])('an id with %s is no UUID and is replaced', async (_what, experienceId) => {
    const recorded = await record({ experienceType: 'Chat', experienceId });
    expect(recorded.event.experienceId).toMatch(UUID_V7);
    expect(recorded).toMatchObject({
      experienceIdReplaced: true,
      warnings: [
        {
          code: 'EXPERIENCE_ID_REPLACED',
          message: `The given experience id is not a UUID; '${recorded.event.experienceId}' was made instead.`,
        },
      ],
    });
  });

  test.each<[named: number | undefined, id: IdKind, becomes: string, warnings: string[]]>([
    [undefined, 'no id', 'Summary@2', []],
    [1, 'no id', 'Summary@1', []],
    [2, 'an id never seen', 'Summary@2', []],
    [1, 'the id of an untyped experience', 'Summary@1', []],
    [1, 'the id of a Summary', 'Summary@1', []],
    [2, 'the id of a Summary', 'Summary@1', ['OTHER_EXPERIENCE_VERSION']],
    [1, 'the id of a Chat', 'Chat@1', ['OTHER_EXPERIENCE_TYPE']],
    [1, 'an id that is no UUID', 'Summary@1', ['EXPERIENCE_ID_REPLACED']],
  ])('version %s of a type at version 2 and %s goes to %s', async (named, idKind, becomes, warnings) => {
    const experienceId = await IDS[idKind]();
    const { event, warnings: got } = await record({
      experienceType: 'Summary',
      ...(named === undefined ? {} : { experienceVersion: named }),
      ...(experienceId === undefined ? {} : { experienceId }),
    });
    expect(`${event.experienceType}@${event.experienceVersion}`).toBe(becomes);
    expect(got.map(({ code }) => code)).toEqual(warnings);
  });

  test('a version but no type is warned when the experience is of another one', async () => {
    const experienceId = await IDS['the id of a Summary']();
    const { event, warnings } = await record({ experienceId, experienceVersion: 2 });
    expect(event.experienceVersion).toBe(1);
    expect(warnings.map(({ code }) => code)).toEqual(['OTHER_EXPERIENCE_VERSION']);
  });

  test.each<[id: IdKind]>([['no id'], ['an id never seen'], ['the id of a Summary']])(
    'a version that the type does not have and %s is refused',
    async (idKind) => {
      const experienceId = await IDS[idKind]();
      await expect(
        record({
          experienceType: 'Summary',
          experienceVersion: 3,
          ...(experienceId === undefined ? {} : { experienceId }),
        }),
      ).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
        metadata: { experience_type: 'Summary', experience_version: '3' },
      });
    },
  );

  test('no UUID, where ids are strict, is refused; a UUID in braces is not', async () => {
    await expect(
      record({ experienceType: 'Summary', experienceId: 'order 17' }, strict),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [{ field: idField, description: 'must be a UUID' }],
    });
    const experienceId = randomUUID();
    const { event } = await record({ experienceId: `{${experienceId.toUpperCase()}}` }, strict);
    expect(event.experienceId).toBe(experienceId);
  });
});

describe('an experience created beforehand', () => {
  test.each<
    [type: string, id: IdKind, goesTo: 'that' | 'fresh', becomes: string, flags: '' | 'existed' | 'replaced']
  >([
    ['Summary', 'no id', 'fresh', 'Summary@2', ''],
    ['Summary', 'an id never seen', 'that', 'Summary@2', ''],
    ['Summary', 'the id of a Summary', 'that', 'Summary@1', 'existed'],
    ['Summary', 'the id of an untyped experience', 'that', 'Summary@2', 'existed'],
    ['Summary', 'an id that is no UUID', 'fresh', 'Summary@2', 'replaced'],
  ])('of type %s with %s is %s experience, %s', async (experienceType, idKind, goesTo, becomes, flags) => {
    const experienceId = await IDS[idKind]();
    const created = await service.client.experiences.create({
      experienceType,
      ...(experienceId === undefined ? {} : { experienceId }),
    });
    const { experience } = created;
    if (goesTo === 'that') expect(experience.experienceId).toBe(experienceId);
    else expect(experience.experienceId).toMatch(UUID_V7);
    expect(`${experience.experienceType}@${experience.experienceVersion}`).toBe(becomes);
    expect(created.alreadyExisted).toBe(flags === 'existed');
    expect(created.idReplaced).toBe(flags === 'replaced');
    expect(await service.client.experiences.get(experience.experienceId)).toEqual(experience);
  });

  test.each<[type: string, version: number, id: IdKind, reason: string]>([
    ['Summary', 0, 'the id of a Chat', 'EXPERIENCE_ALREADY_EXISTS'],
    ['Summary', 2, 'the id of a Summary', 'EXPERIENCE_ALREADY_EXISTS'],
    ['Summary', 3, 'no id', 'EXPERIENCE_TYPE_VERSION_NOT_FOUND'],
    ['Summary', 3, 'an id that is no UUID', 'EXPERIENCE_TYPE_VERSION_NOT_FOUND'],
    ['Missing', 0, 'no id', 'EXPERIENCE_TYPE_NOT_FOUND'],
    ['Missing', 0, 'an id never seen', 'EXPERIENCE_TYPE_NOT_FOUND'],
    ['Missing', 0, 'the id of a Summary', 'EXPERIENCE_TYPE_NOT_FOUND'],
    ['Missing', 0, 'the id of an untyped experience', 'EXPERIENCE_TYPE_NOT_FOUND'],
    ['Missing', 0, 'an id that is no UUID', 'EXPERIENCE_TYPE_NOT_FOUND'],
    ['', 0, 'an id never seen', 'INVALID_FIELDS'],
  ])(
    "of type '%s' version %d with %s is refused: %s",
    async (experienceType, experienceVersion, idKind, reason) => {
      const experienceId = (await IDS[idKind]()) ?? '';
      await expect(
        service.client.experiences.create({ experienceType, experienceVersion, experienceId }),
      ).rejects.toMatchObject({ reason });
      if (idKind === 'an id never seen') {
        await expect(service.client.experiences.get(experienceId)).rejects.toMatchObject({
          reason: 'EXPERIENCE_NOT_FOUND',
        });
      }
    },
  );

  test('keeps the version it was made with when its type gets a next one', async () => {
    await service.client.types.create({ name: 'Raised', description: 'Gets a second version' });
    const first = await service.client.experiences.create({ experienceType: 'Raised' });
    await service.client.types.incrementVersion('Raised');
    const second = await service.client.experiences.create({ experienceType: 'Raised' });
    const recorded = await recordByMessage({
      experienceType: 'Raised',
      experienceId: first.experience.experienceId,
    });
    expect([first.experience.experienceVersion, second.experience.experienceVersion]).toEqual([1, 2]);
    expect(recorded).toMatchObject({ event: { experienceVersion: 1 }, warnings: [] });
  });

  test('must have a UUID where ids are strict, and so must a run', async () => {
    const refusal = {
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'experience_id', description: 'must be a UUID' }],
    };
    const wanted = { experienceType: 'Chat', experienceId: 'order 17' };
    await expect(strict.client.experiences.create(wanted)).rejects.toMatchObject(refusal);
    await expect(
      strict.client.runs.start({ ...wanted, document: { content: 'Text' } }),
    ).rejects.toMatchObject(refusal);
    const experienceId = randomUUID();
    const { experience, idReplaced } = await strict.client.experiences.create({
      experienceType: 'Chat',
      experienceId: `{${experienceId}}`,
    });
    expect([experience.experienceId, idReplaced]).toEqual([experienceId, false]);
  });
});

describe('an untyped experience', () => {
  test.each<[by: string, name: (experienceId: string) => Promise<unknown>]>([
    [
      'an event',
      (experienceId) => recordByMessage({ experienceType: 'Summary', experienceVersion: 1, experienceId }),
    ],
    [
      'an explicit creation',
      (experienceId) =>
        service.client.experiences.create({ experienceType: 'Summary', experienceVersion: 1, experienceId }),
    ],
  ])('takes the type that %s names, and its earlier events take it too', async (_by, name) => {
    const experienceId = randomUUID();
    for (let n = 0; n < 3; n += 1) await recordByMessage({ experienceId });
    await name(experienceId);
    const events = await readAll(service.client.usage.list(experienceId));
    expect(new Set(events.map((event) => `${event.experienceType}@${event.experienceVersion}`))).toEqual(
      new Set(['Summary@1']),
    );
    const experience = await service.client.experiences.get(experienceId);
    expect(experience).toMatchObject({ experienceType: 'Summary', experienceVersion: 1 });
    expect(experience.totals.eventCount).toBe(BigInt(events.length));
    // It is typed for good: another type is only warned of.
    const later = await recordByMessage({ experienceType: 'Chat', experienceId });
    expect(later).toMatchObject({
      event: { experienceType: 'Summary' },
      warnings: [
        {
          code: 'OTHER_EXPERIENCE_TYPE',
          message: "The experience is 'Summary' version 1 and stays so, whatever this call names.",
        },
      ],
    });
  });

  test('takes one type when many calls name two at once', async () => {
    const experienceId = randomUUID();
    await recordByMessage({ experienceId });
    const recorded = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        recordByMessage({ experienceType: n % 2 === 0 ? 'Summary' : 'Chat', experienceId }),
      ),
    );
    const { experienceType } = await service.client.experiences.get(experienceId);
    expect(new Set(recorded.map(({ event }) => event.experienceType))).toEqual(new Set([experienceType]));
    const events = await readAll(service.client.usage.list(experienceId));
    expect(events).toHaveLength(11);
    expect(new Set(events.map((event) => event.experienceType))).toEqual(new Set([experienceType]));
    expect(recorded.filter(({ warnings }) => warnings.length > 0)).toHaveLength(5);
  });

  test('stays untyped when its type would be unknown', async () => {
    const experienceId = await IDS['the id of an untyped experience']();
    await expect(recordByMessage({ experienceType: 'Missing', experienceId })).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_NOT_FOUND',
    });
    expect((await service.client.experiences.get(experienceId)).experienceType).toBeUndefined();
  });

  test('with 1,000 events takes a type with all of them; with one more it stays untyped and the caller is warned', async () => {
    const ids = Array.from({ length: 1_000 }, (_, n) => `event ${n}`);
    const [most, tooMany] = [randomUUID(), randomUUID()];
    await recordTogether(
      service,
      most,
      ids.map((id) => `most ${id}`),
    );
    await recordTogether(
      service,
      tooMany,
      [...ids, 'one more'].map((id) => `too many ${id}`),
    );

    const adopting = await recordByMessage({ experienceType: 'Summary', experienceId: most });
    expect(adopting).toMatchObject({ event: { experienceType: 'Summary' }, warnings: [] });
    const events = await readAll(service.client.usage.list(most));
    expect(events.filter(({ experienceType }) => experienceType === 'Summary')).toHaveLength(1_001);

    const warned = await recordByMessage({ experienceType: 'Summary', experienceId: tooMany });
    expect(warned.event.experienceType).toBeUndefined();
    expect(warned.warnings).toEqual([
      {
        code: 'EXPERIENCE_STAYS_UNTYPED',
        message: 'The experience has no type and too many events to take one.',
      },
    ]);
    expect((await service.client.costs.get(tooMany)).totals.eventCount).toBe(1_002n);
    await expect(
      service.client.experiences.create({ experienceType: 'Summary', experienceId: tooMany }),
    ).rejects.toMatchObject({ reason: 'EXPERIENCE_ALREADY_EXISTS' });
  });
});

describe('message and metadata', () => {
  const id = '018f3c2e-0000-7000-8000-00000000aaaa';
  const otherId = '018f3c2e-0000-7000-8000-00000000bbbb';
  const record = async (attribution: object, metadata: readonly (readonly [string, string])[]) => {
    const units = { text: { input: '1000', output: '500' } };
    const answer = await raw.call(RecordUsage, { record: { ...CALL, units, attribution } }, { metadata });
    return answer.event;
  };

  test.each<[field: string, attribution: object, key: string, value: string]>([
    ['experience_id', { experienceId: id }, 'xproxy-experience-id', otherId],
    ['experience_type', { experienceType: 'Summary' }, 'xproxy-experience-name', 'Chat'],
    [
      'experience_version',
      { experienceType: 'Summary', experienceVersion: 1 },
      'xproxy-experience-version',
      '2',
    ],
    ['user_id', { userId: 'ada' }, 'xproxy-user-id', 'grace'],
    ['request_tags', { requestTags: ['a', 'b'] }, 'xproxy-request-tags', 'a,c'],
  ])('that differ in %s are a conflict', async (field, attribution, key, value) => {
    await expect(record(attribution, [[key, value]])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'ATTRIBUTION_CONFLICT',
      violations: [
        { field: `record.attribution.${field}`, description: 'differs from the metadata of the call' },
      ],
    });
  });

  test('that differ in several fields name all of them', async () => {
    const conflict = record({ experienceId: id, userId: 'ada' }, [
      ['xproxy-experience-id', otherId],
      ['xproxy-user-id', 'grace'],
    ]);
    await expect(conflict).rejects.toMatchObject({
      violations: [{ field: 'record.attribution.experience_id' }, { field: 'record.attribution.user_id' }],
    });
  });

  test.each<[what: string, attribution: object, key: string, value: string]>([
    [
      'the same UUID in another spelling',
      { experienceId: id },
      'xproxy-experience-id',
      `{${id.toUpperCase()}}`,
    ],
    ['the same type', { experienceType: 'Chat' }, 'xproxy-experience-name', 'Chat'],
    ['the same user', { userId: 'ada' }, 'xproxy-user-id', 'ada'],
    ['the same tags in another order', { requestTags: ['a', 'b'] }, 'xproxy-request-tags', 'b, a'],
  ])('that give %s agree', async (_what, attribution, key, value) => {
    expect(await record(attribution, [[key, value]])).not.toBeNull();
  });

  test('complete each other', async () => {
    const event = await record({ experienceType: 'Summary', requestTags: ['a', 'b', 'a'] }, [
      ['xproxy-experience-id', otherId],
      ['xproxy-experience-version', '1'],
      ['xproxy-user-id', 'ada'],
    ]);
    expect(event).toMatchObject({
      experienceId: otherId,
      experienceType: 'Summary',
      experienceVersion: 1,
      userId: 'ada',
      requestTags: ['a', 'b'],
    });
  });
});

describe('attribution metadata', () => {
  const id = '018f3c2e-0000-7000-8000-00000000cccc';
  const otherId = '018f3c2e-0000-7000-8000-00000000dddd';
  const request = { record: { ...CALL, units: { text: { input: '1000', output: '500' } } } };
  const recordWith = (...metadata: readonly (readonly [string, string])[]) =>
    raw.call(RecordUsage, request, { metadata });

  test.each<[key: string, first: string, second: string]>([
    ['xproxy-experience-id', id, otherId],
    ['xproxy-experience-id', id, id],
    ['xproxy-experience-id', 'order 17', 'order 18'],
    ['xproxy-experience-name', 'Summary', 'Chat'],
    ['xproxy-experience-version', '1', '2'],
    ['xproxy-user-id', 'ada', 'grace'],
  ])('that gives %s twice, %s and %s, is refused', async (key, first, second) => {
    await expect(recordWith([key, first], [key, second])).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: key }],
    });
  });

  test('may give its tags in one value or in several', async () => {
    const { event } = await recordWith(['xproxy-request-tags', 'a, b'], ['xproxy-request-tags', 'c']);
    expect(event?.requestTags).toEqual(['a', 'b', 'c']);
  });

  test('may spell its keys in any case', async () => {
    const { event } = await recordWith(['xProxy-Experience-ID', id], ['xProxy-User-ID', 'ada']);
    expect(event).toMatchObject({ experienceId: id, userId: 'ada' });
  });

  test('that is bad is refused with every bad key named', async () => {
    const refused = recordWith(
      ['xproxy-experience-name', 'no name'],
      ['xproxy-experience-version', '1.5'],
      ['xproxy-user-id', 'ada l.'],
      ['xproxy-request-tags', 'a,b c'],
      ['xproxy-experience-id', 'x'.repeat(1_025)],
    );
    await expect(refused).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: expect.arrayContaining(
        ['experience-name', 'experience-version', 'user-id', 'request-tags', 'experience-id'].map((key) =>
          expect.objectContaining({ field: `xproxy-${key}` }),
        ),
      ),
    });
  });

  test('that our client is given with spaces around its values arrives without them', async () => {
    const client = new ExperiencesClient({
      address: service.address,
      metadata: { 'xproxy-experience-id': ` ${id} `, ...attributionMetadata({ userId: '  ada ' }) },
    });
    try {
      const { event } = await client.usage.record(CALL);
      expect(event).toMatchObject({ experienceId: id, userId: 'ada' });
    } finally {
      client.close();
    }
  });

  test.each<[what: string, attribution: Parameters<typeof attributionMetadata>[0]]>([
    ['an accent', { experienceName: 'Résumé' }],
    ['a line break', { userId: 'ada\nx' }],
  ])('cannot be made of %s: it would be lost on the way', (_what, attribution) => {
    expect(() => attributionMetadata(attribution)).toThrow(RangeError);
  });
});

/** 0 for an experience that there is not. */
async function eventCount(experienceId: string): Promise<bigint> {
  const cost = await service.client.costs.get(experienceId).catch(() => undefined);
  return cost?.totals.eventCount ?? 0n;
}
