import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExperiencesClient, ExperiencesError } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { contractMethods } from './support/contract-methods.js';
import {
  FACTS,
  MARK,
  MARK_HASH,
  OPERATION_KEY,
  PROVIDER,
  type ThingKind,
  thingsOf,
  turn,
  UNKNOWN,
} from './support/foreign-things.js';
import { RawClient } from './support/raw-client.js';
import { startTestService, type TestService } from './support/service.js';
import { storedDocuments } from './support/stored-documents.js';

/**
 * An id of another application is to a caller exactly as one that does not exist: same answer or same refusal, and nothing
 * of the other application is shown or changed. Every method of the contract has its cases here, or says that it takes
 * no id.
 */
const BOOTSTRAP_KEY = 'a-bootstrap-key-of-at-least-32-characters';

let service: TestService;
let raw: RawClient;
/** Owner of all that is looked for, and its stranger, who has a key for everything of his own. */
let owner: ExperiencesClient;
let strangerKey: string;
/** Of the stranger's own application. */
let ownExperienceId: string;

beforeAll(async () => {
  service = await startTestService({ bootstrapKey: BOOTSTRAP_KEY });
  raw = new RawClient(service.address);
  const operator = service.client;
  await operator.admin.createApplication({ applicationId: OWNER, description: MARK });
  await operator.admin.createApplication({ applicationId: 'stranger' });
  owner = operator.as({ apiKey: BOOTSTRAP_KEY, application: OWNER });
  const { admin } = operator.as({ apiKey: BOOTSTRAP_KEY, application: 'stranger' });
  strangerKey = (await admin.createKey({ scopes: ['ADMIN'] })).keyText;
  const stranger = operator.as({ apiKey: strangerKey });
  await stranger.types.create({ name: 'Own', description: 'Of the stranger' });
  await stranger.types.create({ name: 'Runs', description: 'Nobody runs it', workflowType: 'nobody' });
  ownExperienceId = (await stranger.experiences.create({ experienceType: 'Own' })).experience.experienceId;
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

interface Case {
  readonly what: string;
  readonly kind: ThingKind;
  readonly request: (id: string) => object;
  readonly metadata?: (id: string) => readonly (readonly [string, string])[];
}

function by(
  kind: ThingKind,
  request: (id: string) => object,
  metadata?: NonNullable<Case['metadata']>,
): Case {
  return { what: kind, kind, request, ...(metadata === undefined ? {} : { metadata }) };
}

/** For the token of a list of one thing. */
function parts(text: string): { readonly id: string; readonly pageToken: string } {
  const [id = '', pageToken = ''] = text.split(' ');
  return { id, pageToken };
}

const name = (id: string) => ({ name: id });
const experience = (id: string) => ({ experienceId: id });
const limit = (id: string) => ({ limitId: id });
const response = (id: string) => ({ providerResponseId: id, provider: FACTS.provider });
const OWN_PRICES = 'PRICE_SOURCE_APPLICATION';
const document = (id: string) => ({ documentId: id });
const record = (fields: object) => ({
  ...FACTS,
  units: { text: { input: '1000', output: '500' } },
  ...fields,
});
const attributed = (attribution: object) => record({ eventId: `own ${randomUUID()}`, attribution });
const reservation = (attribution: object, eventId = `own ${randomUUID()}`) => ({
  ...FACTS,
  eventId,
  attribution,
  estimate: { cost: '0.25' },
});
const question = () => ({ turnId: randomUUID(), question: 'What is it?' });
const HOUR_S = 3_600;
const hourFromNow = (hours: number) => ({
  seconds: String((Math.floor(Date.now() / 1_000 / HOUR_S) + hours) * HOUR_S),
});
const RANGE = { startTime: hourFromNow(-2), endTime: hourFromNow(2) };

/** By method, in the order of the contract. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  'ExperienceTypeService/CreateExperienceType': [by('type', (id) => ({ name: id, description: 'Other' }))],
  'ExperienceTypeService/GetExperienceType': [by('type', (id) => ({ name: id, showDeleted: true }))],
  'ExperienceTypeService/ListExperienceTypes': [
    by('typesToken', (pageToken) => ({ pageSize: 1, pageToken })),
  ],
  'ExperienceTypeService/UpdateExperienceType': [by('type', (id) => ({ name: id, description: 'Other' }))],
  'ExperienceTypeService/DeleteExperienceType': [by('type', name)],
  'ExperienceTypeService/UndeleteExperienceType': [by('type', name)],
  'ExperienceTypeService/IncrementExperienceTypeVersion': [by('type', name)],
  'ExperienceTypeService/ListExperienceTypeVersions': [
    by('type', name),
    by('versionsToken', (text) => ({ name: parts(text).id, pageSize: 1, pageToken: parts(text).pageToken })),
  ],
  'ExperienceService/CreateExperience': [
    by('type', (id) => ({ experienceType: id })),
    by('experience', (id) => ({ experienceType: 'Own', experienceId: id })),
  ],
  'ExperienceService/GetExperience': [by('experience', (id) => ({ experienceId: id, showDeleted: true }))],
  'ExperienceService/ListExperiences': [
    by('type', (id) => ({ experienceType: id, showDeleted: true })),
    by('experiencesToken', (pageToken) => ({ pageSize: 1, pageToken })),
  ],
  'ExperienceService/UpdateExperienceProperties': [
    by('experience', (id) => ({ experienceId: id, set: { a: 'b' }, remove: [MARK] })),
  ],
  'ExperienceService/DeleteExperience': [by('experience', experience)],
  'UsageService/RecordUsage': [
    by('event', (id) => ({ record: record({ eventId: id }) })),
    by('reservation', (id) => ({ record: record({ eventId: id }) })),
    by('experience', (id) => ({ record: attributed({ experienceId: id }) })),
    by('experience', (id) => ({ record: attributed({ experienceId: id, experienceType: 'Own' }) })),
    by('type', (id) => ({ record: attributed({ experienceType: id }) })),
    by('limit', (id) => ({ record: attributed({ limitIds: [id] }) })),
    by(
      'type',
      () => ({ record: attributed({}) }),
      (id) => [['xproxy-experience-name', id]],
    ),
    by(
      'limit',
      () => ({ record: attributed({}) }),
      (id) => [['xproxy-limit-ids', id]],
    ),
    by('pricedModel', (id) => ({
      record: record({ eventId: `own ${randomUUID()}`, provider: PROVIDER, model: id }),
    })),
  ],
  'UsageService/BatchRecordUsage': [
    by('event', (id) => ({ records: [record({ eventId: id })] })),
    by('experience', (id) => ({ records: [attributed({ experienceId: id })] })),
    by('type', (id) => ({ records: [attributed({ experienceType: id })] })),
    by('limit', (id) => ({ records: [attributed({ limitIds: [id] })] })),
  ],
  'UsageService/StreamUsage': [
    by('event', (id) => ({ sequence: '1', records: [record({ eventId: id })] })),
    by('experience', (id) => ({ sequence: '1', records: [attributed({ experienceId: id })] })),
    by('type', (id) => ({ sequence: '1', records: [attributed({ experienceType: id })] })),
    by('reservation', (id) => ({ sequence: '1', reservations: [reservation({}, id)] })),
    by('limit', (id) => ({ sequence: '1', reservations: [reservation({ limitIds: [id] })] })),
    by('reservation', (id) => ({ sequence: '1', releases: [{ eventId: id }] })),
  ],
  'UsageService/ReserveUsage': [
    by('event', (id) => ({ reservation: reservation({}, id) })),
    by('reservation', (id) => ({ reservation: reservation({}, id) })),
    by('experience', (id) => ({ reservation: reservation({ experienceId: id }) })),
    by('type', (id) => ({ reservation: reservation({ experienceType: id }) })),
    by('limit', (id) => ({ reservation: reservation({ limitIds: [id] }) })),
  ],
  'UsageService/ReleaseUsage': [
    by('event', (id) => ({ eventId: id })),
    by('reservation', (id) => ({ eventId: id })),
  ],
  'UsageService/ListUsage': [
    by('experience', experience),
    by('usageToken', (text) => ({
      experienceId: parts(text).id,
      pageSize: 1,
      pageToken: parts(text).pageToken,
    })),
  ],
  'UsageService/GetUsage': [
    by('event', (id) => ({ eventId: id })),
    by('response', (id) => ({ ...response(id) })),
  ],
  'UsageService/UpdateUsageProperties': [
    by('event', (id) => ({ eventId: id, set: { a: 'b' }, remove: [MARK] })),
  ],
  'CostService/GetExperienceCost': [by('experience', (id) => ({ experienceId: id, showDeleted: true }))],
  'CostService/EstimateCost': [
    by('pricedModel', (id) => ({
      provider: PROVIDER,
      model: id,
      units: { text: { input: '1000', output: '500' } },
    })),
  ],
  'CostService/QueryCosts': [by('type', (id) => ({ ...RANGE, experienceType: id }))],
  'CostService/GetCostDistribution': [by('type', (id) => ({ experienceType: id, dearestCount: 5 }))],
  'CostService/CompareVersions': [
    by('type', (id) => ({ experienceType: id, firstVersion: 1, secondVersion: 2 })),
  ],
  'ExperienceRunService/StartExperience': [
    by('type', (id) => ({ experienceType: id, parametersJson: '{}' })),
    by('run', (id) => ({ experienceType: 'Runs', experienceId: id, parametersJson: '{}' })),
    by('document', (id) => ({ experienceType: 'Runs', documentId: id })),
  ],
  'ExperienceRunService/GetExperienceRun': [by('run', experience)],
  'ExperienceRunService/WatchExperienceRun': [
    by('run', (id) => ({ experienceId: id, includeOutput: true })),
    by('experience', experience),
  ],
  'ExperienceRunService/AskExperience': [
    by('run', (id) => ({ experienceId: id, ...question() })),
    by('type', (id) => ({ experienceId: randomUUID(), experienceType: id, ...question() })),
    by('document', (id) => ({
      experienceId: randomUUID(),
      experienceType: 'Runs',
      documentId: id,
      ...question(),
    })),
  ],
  'ExperienceRunService/RaiseBudget': [by('run', (id) => ({ experienceId: id, maxCost: '50' }))],
  'ExperienceRunService/CancelExperience': [by('run', (id) => ({ experienceId: id, reason: 'not mine' }))],
  'PriceService/CreatePrice': [
    by('price', (id) => ({
      priceId: id,
      provider: 'own',
      model: 'own',
      rates: { text: { input: { base: '1' } } },
    })),
  ],
  'PriceService/RetirePrice': [by('price', (id) => ({ priceId: id }))],
  'PriceService/GetPrice': [by('price', (id) => ({ priceId: id }))],
  'PriceService/ListPrices': [
    by('pricedModel', (id) => ({ provider: PROVIDER, model: id })),
    by('pricesToken', (pageToken) => ({ pageSize: 1, pageToken })),
  ],
  'PriceService/ListPricedProviders': [by('providersToken', (pageToken) => ({ pageSize: 1, pageToken }))],
  'PriceService/ListPricesInForce': [
    by('providersToken', (pageToken) => ({ provider: PROVIDER, source: OWN_PRICES, pageSize: 1, pageToken })),
  ],
  'PriceService/RetireModel': [by('pricedModel', (id) => ({ provider: PROVIDER, model: id }))],
  'PriceService/RepriceUnpriced': [
    by('repricing', (id) => ({ repricingId: id, provider: 'own' })),
    by('pricesToken', (pageToken) => ({ pageToken })),
  ],
  'LimitService/CreateLimit': [
    by('limitName', (id) => ({ name: id, config: { maxCost: '7', limitType: 'LIMIT_TYPE_ALLOW' } })),
  ],
  'LimitService/GetLimit': [by('limit', (id) => ({ limitId: id, showDeleted: true }))],
  'LimitService/ListLimits': [
    by('limitName', name),
    by('limitTag', (id) => ({ tags: [id] })),
    by('limitsToken', (pageToken) => ({ pageSize: 1, pageToken })),
  ],
  'LimitService/UpdateLimit': [by('limit', (id) => ({ limitId: id, maxCost: '50' }))],
  'LimitService/ResetLimit': [by('limit', limit)],
  'LimitService/DeleteLimit': [by('limit', limit)],
  'DocumentService/CreateDocument': [by('document', (id) => ({ documentId: id, name: 'own' }))],
  'DocumentService/AppendDocument': [
    by('document', (id) => ({ documentId: id, offset: '0', content: Buffer.from('own') })),
  ],
  'DocumentService/CommitDocument': [
    by('document', (id) => ({ documentId: id, sizeBytes: String(MARK.length), sha256: MARK_HASH })),
  ],
  'DocumentService/ReadDocument': [by('document', document)],
  'DocumentService/GetDocument': [by('document', document)],
  'DocumentService/DeleteDocument': [by('document', document)],
  'RunStateService/PutAnswer': [
    by('experience', (id) => ({
      experienceId: id,
      operationKey: OPERATION_KEY,
      content: Buffer.from('own'),
    })),
  ],
  'RunStateService/GetAnswer': [
    by('experience', (id) => ({ experienceId: id, operationKey: OPERATION_KEY })),
  ],
  'RunStateService/AppendTurn': [
    by('experience', (id) => ({ experienceId: id, turn: { ...turn(), question: 'own?', answer: 'own' } })),
  ],
  'RunStateService/ListTurns': [
    by('experience', experience),
    by('turnsToken', (text) => ({
      experienceId: parts(text).id,
      pageSize: 1,
      pageToken: parts(text).pageToken,
    })),
  ],
  'RunStateService/PublishRunOutput': [
    by('run', (id) => ({
      experienceId: id,
      output: { outputKey: 'own', attempt: 1, sequence: 1, text: 'own' },
    })),
  ],
  'AdminService/Verify': [by('type', (id) => ({ experienceType: id, deep: true }))],
  'AdminService/CreateApplication': [by('application', (id) => ({ applicationId: id }))],
  'AdminService/GetApplication': [by('application', (id) => ({ applicationId: id }))],
  'AdminService/ListApplications': [by('applicationsToken', (pageToken) => ({ pageToken }))],
  'AdminService/UpdateApplication': [
    by('application', (id) => ({
      applicationId: id,
      description: 'Other',
      updateMask: { paths: ['description'] },
    })),
  ],
  'AdminService/CreateApiKey': [by('keyRequest', (id) => ({ scopes: ['SCOPE_RECORD'], requestId: id }))],
  'AdminService/RevokeApiKey': [by('key', (id) => ({ keyId: id }))],
  'AdminService/GetCaller': [
    by(
      'application',
      () => ({}),
      (id) => [['experiences-application', id]],
    ),
  ],
};

/** These name nothing: what they answer is of the caller's application alone. */
const WITHOUT_IDS: Readonly<Record<string, object>> = {
  'ExperienceTypeService/ListExperienceTypes': { showDeleted: true },
  'ExperienceService/ListExperiences': { showDeleted: true },
  'CostService/QueryCosts': {
    ...RANGE,
    groupBy: ['COST_DIMENSION_EXPERIENCE_TYPE', 'COST_DIMENSION_MODEL'],
  },
  'PriceService/ListPrices': { source: OWN_PRICES },
  'PriceService/ListPricedProviders': { pageSize: 1_000 },
  'PriceService/ListPricesInForce': { provider: 'openai', source: OWN_PRICES },
  'PriceService/RepriceUnpriced': {},
  'LimitService/ListLimits': { showDeleted: true, showOwned: true },
  'AdminService/Verify': { deep: true },
  'AdminService/Repair': { apply: true },
  'AdminService/SweepReservations': {},
  'AdminService/ListApplications': {},
  'AdminService/ListApiKeys': {},
  'AdminService/GetCaller': {},
};

test('every method of the contract is walked', () => {
  const walked = new Set([...Object.keys(CASES), ...Object.keys(WITHOUT_IDS)]);
  expect([...walked].sort()).toEqual(
    contractMethods()
      .map(({ name: method }) => method)
      .sort(),
  );
});

describe('an id of another application', () => {
  const walk = Object.entries(CASES).flatMap(([method, cases]) =>
    cases.map((each, index) => ({ ...each, method, title: `${method} by ${each.what} (${index + 1})` })),
  );
  const foreignIds = new Map<string, string>();
  let before: string;
  beforeAll(async () => {
    const ownerMetadata = [
      ['xproxy-api-key', BOOTSTRAP_KEY],
      ['experiences-application', OWNER],
    ] as const;
    const operator = { client: service.client, metadata: ownerMetadata };
    const things = thingsOf(owner, raw, ownerMetadata, operator);
    for (const { title, kind } of walk) foreignIds.set(title, await things[kind]());
    before = await storedDocuments(service.options.databaseName, OWNER);
    expect(before.length).toBeGreaterThan(10_000);
  });

  // Before the stranger has made things of his own under the same ids.
  test.each(Object.entries(WITHOUT_IDS))('%s shows nothing of it', async (method, request) => {
    const found = await answer(method, request);
    expect(found, JSON.stringify(found)).not.toHaveProperty('code');
    expect(JSON.stringify(found)).not.toContain(MARK);
    expect(await storedDocuments(service.options.databaseName, OWNER)).toBe(before);
  });

  test.each(walk)('is to $title as one that does not exist', async ({ title, kind, method, ...each }) => {
    const foreignId = foreignIds.get(title);
    if (foreignId === undefined) throw new Error('each case has its id');
    const unknownId = UNKNOWN[kind]();
    const answerTo = async (id: string) => {
      const found = await answer(method, each.request(id), each.metadata?.(id));
      return comparable(found, id);
    };
    const toForeign = await answerTo(foreignId);
    expect(toForeign).toEqual(await answerTo(unknownId));
    expect(toForeign).not.toContain(`"${MARK}`);
    // Else the case would ask for nothing: it is the id that is refused.
    if (!kind.endsWith('Token')) expect(toForeign).not.toContain('INVALID_FIELDS');
  });

  test('has changed nothing of that application', async () => {
    expect(await storedDocuments(service.options.databaseName, OWNER)).toBe(before);
  });

  test('that a key of its own names is found: the cases ask for what is there', async () => {
    const found = async (kind: ThingKind, method: string, request: (id: string) => object) => {
      const entry = walk.find((each) => each.kind === kind && each.method === method);
      const id = foreignIds.get(entry?.title ?? '');
      if (id === undefined) throw new Error('each case has its id');
      return answer(method, request(id), [
        ['xproxy-api-key', BOOTSTRAP_KEY],
        ['experiences-application', OWNER],
      ]);
    };
    expect(await found('type', 'ExperienceTypeService/GetExperienceType', name)).not.toHaveProperty('code');
    expect(await found('run', 'ExperienceRunService/GetExperienceRun', experience)).not.toHaveProperty(
      'code',
    );
    expect(await found('document', 'DocumentService/GetDocument', document)).not.toHaveProperty('code');
    expect(await found('limit', 'LimitService/GetLimit', limit)).not.toHaveProperty('code');
    const byToken = await found('usageToken', 'UsageService/ListUsage', (text) => ({
      experienceId: parts(text).id,
      pageSize: 1,
      pageToken: parts(text).pageToken,
    }));
    expect(byToken).not.toHaveProperty('code');
  });

  test('is not needed for what is his own', async () => {
    const found = await answer('ExperienceService/GetExperience', { experienceId: ownExperienceId });
    expect(found).not.toHaveProperty('code');
  });
});

/** The stranger's call, unless the metadata names another key: its answer, or what it was refused with. */
async function answer(
  method: string,
  request: object,
  metadata: readonly (readonly [string, string])[] = [],
): Promise<object> {
  const [serviceName = '', methodName = ''] = method.split('/');
  const services = contract as unknown as Record<string, { service: Record<string, RawMethod> }>;
  const definition = services[serviceName]?.service[methodName];
  if (definition === undefined) throw new Error(`the contract has no ${method}`);
  const keys = metadata.some(([key]) => key === 'xproxy-api-key') ? [] : [['xproxy-api-key', strangerKey]];
  try {
    return await raw.callBytes(definition, definition.requestSerialize(request), {
      metadata: [...(keys as [string, string][]), ...metadata],
    });
  } catch (error) {
    if (!(error instanceof ExperiencesError)) throw error;
    const { code, reason, message, metadata: details, violations, retryAfterMs } = error;
    return { code, reason, message, details, violations, retryAfterMs };
  }
}

interface RawMethod {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

/** Without what differs between any two calls: ids, times and secrets. */
function comparable(found: object, id: string): string {
  return JSON.stringify(found, (_key, value: unknown) => textOfBytes(value))
    .replaceAll(id, '<the id>')
    .replaceAll(parts(id).id, '<the id>')
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
    .replaceAll(/"seconds":"\d+","nanos":\d+/g, '<time>')
    .replaceAll(/exp_[0-9a-f]{24}_[A-Za-z0-9_-]{43}/g, '<key>')
    .replaceAll(/"keyId":"[0-9a-f]{24}"/g, '<key id>');
}

/** As JSON has them. */
function textOfBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('type' in value) || value.type !== 'Buffer')
    return value;
  return 'data' in value ? Buffer.from(value.data as number[]).toString('latin1') : value;
}

const OWNER = 'owner';
