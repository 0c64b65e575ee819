import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { ExperiencesClient } from '../../services/client/index.js';
import { contract } from '../../services/contract/contract.js';
import type { RawClient } from './raw-client.js';

/** What an id may be of. A token of a list of one thing comes after the id of that thing and a space. */
export type ThingKind =
  | 'type'
  | 'experience'
  | 'run'
  | 'event'
  | 'response'
  | 'reservation'
  | 'limit'
  | 'limitName'
  | 'limitTag'
  | 'price'
  | 'pricedModel'
  | 'repricing'
  | 'document'
  | 'key'
  | 'keyRequest'
  | 'application'
  | 'typesToken'
  | 'versionsToken'
  | 'experiencesToken'
  | 'usageToken'
  | 'pricesToken'
  | 'providersToken'
  | 'limitsToken'
  | 'turnsToken'
  | 'applicationsToken';

/** Everything that the owner has says this of itself, so that it is found where it must not be. */
export const MARK = 'secret';

/** An id of each kind as it could be, of which there is nothing. */
export const UNKNOWN: Readonly<Record<ThingKind, () => string>> = {
  type: () => `absent_${short()}`,
  experience: randomUUID,
  run: randomUUID,
  event: () => `absent_${short()}`,
  response: () => `absent_${short()}`,
  reservation: () => `absent_${short()}`,
  limit: randomUUID,
  limitName: () => `absent_${short()}`,
  limitTag: () => `absent_${short()}`,
  price: randomUUID,
  pricedModel: () => `absent_${short()}`,
  repricing: randomUUID,
  document: randomUUID,
  key: () => randomBytes(12).toString('hex'),
  keyRequest: () => `absent_${short()}`,
  application: () => `absent-${short()}`,
  typesToken: token,
  versionsToken: () => `absent_${short()} ${token()}`,
  experiencesToken: token,
  usageToken: () => `${randomUUID()} ${token()}`,
  pricesToken: token,
  providersToken: token,
  limitsToken: token,
  turnsToken: () => `${randomUUID()} ${token()}`,
  applicationsToken: token,
};

/** Makes a thing of each kind for an application, and answers its id. */
export function thingsOf(
  owner: ExperiencesClient,
  raw: RawClient,
  metadata: readonly (readonly [string, string])[],
  operator: { readonly client: ExperiencesClient; readonly metadata: typeof metadata },
): Readonly<Record<ThingKind, () => Promise<string>>> {
  const type = async (): Promise<string> => {
    const name = `${MARK}_${short()}`;
    await owner.types.create({ name, description: MARK, workflowType: MARK, taskQueue: MARK });
    return name;
  };
  const experience = async (): Promise<string> => {
    const created = await owner.experiences.create({
      experienceType: await type(),
      limitConfig: { maxCost: '100', type: 'BLOCK' },
      properties: { [MARK]: MARK },
    });
    const { experienceId } = created.experience;
    await owner.usage.record({ ...CALL, eventId: `${MARK}_${short()}`, experienceId });
    await owner.runState.putAnswer(experienceId, OPERATION_KEY, MARK);
    await owner.runState.appendTurn(experienceId, turn());
    return experienceId;
  };
  const document = async (): Promise<string> => {
    const { documentId } = await owner.documents.upload(Buffer.from(MARK), { name: MARK });
    return documentId;
  };
  const limit = async (name: string, tag: string = MARK): Promise<string> =>
    (await owner.limits.create({ name, maxCost: '1', type: 'BLOCK', tags: [tag] })).limit.limitId;
  const price = async (model = `${MARK}_${short()}`): Promise<string> => {
    const rates = { text: { input: { base: '0.5' }, output: { base: '0.5' } } };
    return (await owner.prices.create({ provider: PROVIDER, model, rates })).priceId;
  };
  const tokenOf = async <Answer extends { readonly nextPageToken: string }>(answer: Promise<Answer>) => {
    const { nextPageToken } = await answer;
    if (nextPageToken === '') throw new Error('there is a next page');
    return nextPageToken;
  };
  return {
    type,
    experience,
    document,
    async run() {
      const { run } = await owner.runs.start({
        experienceType: await type(),
        budget: '5',
        document: { name: MARK, content: Buffer.from(MARK) },
      });
      return run.experienceId;
    },
    async event() {
      const eventId = `${MARK}_${short()}`;
      await owner.usage.record({ ...CALL, eventId });
      return eventId;
    },
    async response() {
      const providerResponseId = `${MARK}_${short()}`;
      await owner.usage.record({ ...CALL, eventId: `${MARK}_${short()}`, providerResponseId });
      return providerResponseId;
    },
    async reservation() {
      const eventId = `${MARK}_${short()}`;
      await owner.usage.reserve({ ...FACTS, eventId, estimate: { cost: '0.5' } });
      return eventId;
    },
    limit: () => limit(`${MARK}_${short()}`),
    async limitName() {
      const name = `${MARK}_${short()}`;
      await limit(name);
      return name;
    },
    async limitTag() {
      const tag = `${MARK}_${short()}`;
      await limit(`${MARK}_${short()}`, tag);
      return tag;
    },
    price: () => price(),
    async pricedModel() {
      const model = `${MARK}_${short()}`;
      await price(model);
      return model;
    },
    async repricing() {
      const repricingId = randomUUID();
      await raw.call(prices.RepriceUnpriced, { repricingId, provider: PROVIDER }, { metadata });
      return repricingId;
    },
    async key() {
      const { key } = await owner.admin.createKey({ scopes: ['READ'], description: MARK });
      return key.keyId;
    },
    async keyRequest() {
      const requestId = `${MARK}_${short()}`;
      await owner.admin.createKey({ scopes: ['RECORD'], description: MARK, requestId });
      return requestId;
    },
    async application() {
      const applicationId = `${MARK}-${short()}`;
      await operator.client.admin.createApplication({ applicationId, description: MARK });
      return applicationId;
    },
    async typesToken() {
      await Promise.all([type(), type()]);
      return tokenOf(raw.call(types.ListExperienceTypes, { pageSize: 1 }, { metadata }));
    },
    async versionsToken() {
      const name = await type();
      await owner.types.incrementVersion(name);
      const page = raw.call(types.ListExperienceTypeVersions, { name, pageSize: 1 }, { metadata });
      return `${name} ${await tokenOf(page)}`;
    },
    async experiencesToken() {
      await Promise.all([experience(), experience()]);
      return tokenOf(raw.call(experiences.ListExperiences, { pageSize: 1 }, { metadata }));
    },
    async usageToken() {
      const experienceId = await experience();
      await owner.usage.record({ ...CALL, experienceId });
      const page = raw.call(usage.ListUsage, { experienceId, pageSize: 1 }, { metadata });
      return `${experienceId} ${await tokenOf(page)}`;
    },
    async pricesToken() {
      await Promise.all([price(), price()]);
      return tokenOf(raw.call(prices.ListPrices, { pageSize: 1 }, { metadata }));
    },
    async providersToken() {
      await price();
      return tokenOf(raw.call(prices.ListPricedProviders, { pageSize: 1 }, { metadata }));
    },
    async limitsToken() {
      await Promise.all([limit(`${MARK}_${short()}`), limit(`${MARK}_${short()}`)]);
      return tokenOf(raw.call(limits.ListLimits, { pageSize: 1 }, { metadata }));
    },
    async turnsToken() {
      const experienceId = await experience();
      await owner.runState.appendTurn(experienceId, turn());
      const page = raw.call(runState.ListTurns, { experienceId, pageSize: 1 }, { metadata });
      return `${experienceId} ${await tokenOf(page)}`;
    },
    applicationsToken: () =>
      tokenOf(raw.call(admin.ListApplications, { pageSize: 1 }, { metadata: operator.metadata })),
  };
}

/** Of the owner's prices. */
export const PROVIDER = `acme-${MARK}`;
export const OPERATION_KEY = 'step';
export const FACTS = { provider: 'openai', model: 'gpt-4o-mini' } as const;
const CALL = { ...FACTS, units: { text: { input: 1_000n, output: 500n } } };

export function turn() {
  return { turnId: randomUUID(), question: `${MARK}?`, answer: MARK, passages: [] };
}

/** SHA-256 of the documents' content, in hex. */
export const MARK_HASH = createHash('sha256').update(MARK).digest('hex');

function short(): string {
  return randomBytes(4).toString('hex');
}

/** As long as one is. */
function token(): string {
  return randomBytes(48).toString('base64url');
}

const types = contract.ExperienceTypeService.service;
const experiences = contract.ExperienceService.service;
const usage = contract.UsageService.service;
const prices = contract.PriceService.service;
const limits = contract.LimitService.service;
const runState = contract.RunStateService.service;
const admin = contract.AdminService.service;
