import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { Connection, WorkflowClient } from '@temporalio/client';
import { Decimal128, MongoClient, UUID } from 'mongodb';
import { type Logger, pino } from 'pino';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { fromServiceError } from '../services/client/experiences-error.js';
import { ExperiencesError } from '../services/client/index.js';
import type { UsageRecord } from '../services/client/types.js';
import { contract } from '../services/contract/contract.js';
import { FAULT_REASONS, type FaultReason } from '../services/domain/fault.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const types = contract.ExperienceTypeService.service;
const experiences = contract.ExperienceService.service;
const usage = contract.UsageService.service;
const costs = contract.CostService.service;
const runs = contract.ExperienceRunService.service;
const prices = contract.PriceService.service;
const documents = contract.DocumentService.service;
const runState = contract.RunStateService.service;

const UUID_TEXT = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
const MEBIBYTE = 1024 * 1024;
const HOUR = { seconds: '3600', nanos: 0 };
const RANGE = { startTime: HOUR, endTime: { seconds: '7200', nanos: 0 } };
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: '1000', output: '500' } } };

let service: TestService;
let raw: RawClient;
const logged: string[] = [];
beforeAll(async () => {
  const logger: Logger = pino({ level: 'error' }, { write: (line: string) => logged.push(line) });
  service = await startTestService({ logger });
  raw = new RawClient(service.address);
  await service.client.types.create({ name: 'Summary', description: 'Summarises a document' });
  await service.client.types.create({
    name: 'Runnable',
    description: 'Has a workflow that nobody runs',
    workflowType: 'nobody',
  });
  await service.client.prices.create({
    provider: 'acme',
    model: 'one',
    rates: { text: { input: { base: '1' } } },
  });
  await service.client.prices.create({
    provider: 'acme',
    model: 'dearest',
    rates: { text: { output: { base: '10000' } } },
  });
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

function inMinutes(minutes: number) {
  return { seconds: String(Math.floor(Date.now() / 1_000) + minutes * 60), nanos: 0 };
}

describe('a call to record', () => {
  const one = { input: '1', output: '0' };
  const kinds = (...names: string[]) => ({ units: Object.fromEntries(names.map((name) => [name, one])) });
  const attribution = (fields: object) => ({ attribution: fields });
  const tags = times(32, (n) => `${'t'.repeat(62)}${n + 10}`);
  test.each<[what: string, bad: object, fields: string[]]>([
    [
      'units below nothing',
      { units: { text: { input: '-1', output: '-9223372036854775808' } } },
      ['units[text].input', 'units[text].output'],
    ],
    [
      'units above 10^12',
      { units: { text: { input: '1000000000001', output: '9223372036854775807' } } },
      ['units[text].input', 'units[text].output'],
    ],
    ['no units though it succeeded', { units: {} }, ['units']],
    [
      'units of zero though it succeeded',
      { units: { text: { input: '0', output: '0' } }, outcome: 'USAGE_OUTCOME_SUCCEEDED' },
      ['units'],
    ],
    ['65 unit kinds', kinds(...times(65, (n) => `kind_${n}`)), ['units']],
    ['a unit kind in upper case', kinds('Text'), ['units[Text]']],
    ['a unit kind with a dot', kinds('a.b'), ['units[a.b]']],
    ['a unit kind with a dollar', kinds('$x'), ['units[$x]']],
    ['a unit kind with a zero byte', kinds('a\u0000'), ['units[a\u0000]']],
    [
      'a unit kind that begins with a digit or a dash',
      kinds('1a', '_a', 'a_', 'a__b'),
      ['units[1a]', 'units[_a]', 'units[a_]', 'units[a__b]'],
    ],
    ['a unit kind without a name', kinds(''), ['units[]']],
    ['a unit kind too long', kinds('k'.repeat(49)), [`units[${'k'.repeat(49)}]`]],
    ['a unit kind of another script', kinds('текст'), ['units[текст]']],
    [
      'more than 1,000,000 in cost',
      { provider: 'acme', model: 'one', units: { text: { input: '1000001', output: '0' } } },
      ['units'],
    ],
    [
      'a cost that no amount holds',
      { provider: 'acme', model: 'dearest', units: { text: { input: '0', output: '1000000000000' } } },
      ['units'],
    ],
    ['a time 6 minutes ahead', { eventTime: inMinutes(6) }, ['event_time']],
    ['a time before 1970', { eventTime: { seconds: '-1', nanos: 999_999_999 } }, ['event_time']],
    ['a time after the year 9999', { eventTime: { seconds: '253402300800', nanos: 0 } }, ['event_time']],
    ['a time that is none', { eventTime: { seconds: '1700000000', nanos: -1 } }, ['event_time']],
    ['no provider and no model', { provider: '', model: '' }, ['provider', 'model']],
    [
      'a provider and models too long',
      { provider: 'p'.repeat(129), model: 'm'.repeat(257), requestedModel: 'm'.repeat(257) },
      ['provider', 'model', 'requested_model'],
    ],
    [
      'a provider and models with control characters',
      { provider: 'a\n', model: '\u0000', requestedModel: '\u007f' },
      ['provider', 'model', 'requested_model'],
    ],
    ['an event id too long', { eventId: 'e'.repeat(129) }, ['event_id']],
    ['an event id that is not ASCII', { eventId: 'é' }, ['event_id']],
    ['an event id with a tab', { eventId: 'a\tb' }, ['event_id']],
    [
      'an operation key and a step too long',
      { operationKey: 'o'.repeat(513), step: 's'.repeat(129) },
      ['operation_key', 'step'],
    ],
    ['an outcome that is none', { outcome: 5 }, ['outcome']],
    [
      'durations below nothing',
      { latencyMs: '-1', timeToFirstTokenMs: '-1' },
      ['latency_ms', 'time_to_first_token_ms'],
    ],
    [
      'durations above a year',
      { latencyMs: '31536000001', timeToFirstTokenMs: '31536000001' },
      ['latency_ms', 'time_to_first_token_ms'],
    ],
    ['an HTTP status that is none', { httpStatusCode: 99 }, ['http_status_code']],
    ['an HTTP status beyond all', { httpStatusCode: 600 }, ['http_status_code']],
    [
      "a provider's ids too long",
      { providerRequestId: 'r'.repeat(257), providerResponseId: 'r'.repeat(257) },
      ['provider_request_id', 'provider_response_id'],
    ],
    ['65 properties', { properties: Object.fromEntries(times(65, (n) => [`key ${n}`, ''])) }, ['properties']],
    ['a property without a key', { properties: { '': 'x' } }, ['properties']],
    [
      'a property whose key is too long',
      { properties: { ['k'.repeat(65)]: 'x' } },
      [`properties[${'k'.repeat(64)}]`],
    ],
    ['a property whose value is too long', { properties: { k: 'v'.repeat(1_025) } }, ['properties[k]']],
    [
      'an experience id of absurd length',
      attribution({ experienceId: 'x'.repeat(1_025) }),
      ['attribution.experience_id'],
    ],
    [
      'a type that no type can be named',
      attribution({ experienceType: 'no name' }),
      ['attribution.experience_type'],
    ],
    [
      'a version below nothing',
      attribution({ experienceType: 'Summary', experienceVersion: -1 }),
      ['attribution.experience_version'],
    ],
    ['a user id with a space', attribution({ userId: 'ada l.' }), ['attribution.user_id']],
    ['a user id too long', attribution({ userId: 'u'.repeat(257) }), ['attribution.user_id']],
    ['33 tags', attribution({ requestTags: times(33, (n) => `tag-${n}`) }), ['attribution.request_tags']],
    [
      'a tag with a space, an empty one and one too long',
      attribution({ requestTags: ['a b', '', 't'.repeat(65)] }),
      times(3, () => 'attribution.request_tags'),
    ],
    ['an attempt below nothing', { workflowSource: { attempt: -1 } }, ['workflow_source.attempt']],
    [
      'a workflow id of absurd length',
      { workflowSource: { workflowId: 'w'.repeat(1_025) } },
      ['workflow_source.workflow_id'],
    ],
    [
      'bad fields of every kind',
      {
        provider: '',
        units: { text: { input: '-1', output: '0' } },
        eventTime: inMinutes(60),
        attribution: { userId: 'a b' },
        step: 's'.repeat(129),
      },
      ['units[text].input', 'event_time', 'attribution.user_id', 'provider', 'step'],
    ],
  ])('with %s is refused, every bad field named, and leaves nothing behind', async (_what, bad, fields) => {
    const eventId = randomUUID();
    await expect(raw.call(usage.RecordUsage, { record: { ...CALL, eventId, ...bad } })).rejects.toMatchObject(
      {
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_FIELDS',
        violations: fields.map((field) => ({ field: `record.${field}` })),
      },
    );
    expect((await raw.call(usage.RecordUsage, { record: { ...CALL, eventId } })).duplicate).toBe(false);
  });

  test.each<[what: string, good: object, kept?: object]>([
    ['10^12 units', { units: { unpriced_kind: { input: '1000000000000', output: '1000000000000' } } }],
    ['64 unit kinds', kinds(...times(64, (n) => `kind_${n}`))],
    ['a unit kind of 48 characters', kinds('k'.repeat(48))],
    ['a unit kind that means something to a language', kinds('constructor', 'prototype', 'valueof')],
    [
      '1,000,000 in cost',
      { provider: 'acme', model: 'one', units: { text: { input: '1000000', output: '0' } } },
    ],
    ['a time 4 minutes ahead', { eventTime: inMinutes(4) }],
    ['a time of 1970', { eventTime: { seconds: '0', nanos: 0 } }],
    [
      'texts as long as they may be',
      {
        eventId: 'e'.repeat(128),
        provider: 'p'.repeat(128),
        model: 'm'.repeat(256),
        requestedModel: 'm'.repeat(256),
        operationKey: 'o'.repeat(512),
        step: 's'.repeat(128),
        providerRequestId: 'r'.repeat(256),
        providerResponseId: 'r'.repeat(256),
      },
    ],
    ['durations of a year', { latencyMs: '31536000000', timeToFirstTokenMs: '31536000000' }],
    [
      '64 properties as long as they may be',
      { properties: Object.fromEntries(times(64, (n) => [`${'k'.repeat(62)}${n + 10}`, 'v'.repeat(1_024)])) },
    ],
    ['32 tags as long as they may be', attribution({ requestTags: tags }), { requestTags: tags }],
  ])('with %s is recorded', async (_what, good, kept = good) => {
    const { event } = await raw.call(usage.RecordUsage, { record: { ...CALL, ...good } });
    expect(event).toMatchObject(kept);
  });

  test('whose every unit kind is bad gets an answer that any gRPC client takes, with the first of them named', async () => {
    const bad = times(64, (n) => [`${'é'.repeat(60)} ${n}`, { input: '-1', output: '-1' }]);
    const refused = raw.call(usage.RecordUsage, { record: { ...CALL, units: Object.fromEntries(bad) } });
    const error = await refusal(refused);
    expect(error.violations[0]).toEqual({
      field: `record.units[${'é'.repeat(60)} 0].input`,
      description: 'must not be negative',
    });
    const { metadata, details } = error.cause as ServiceError;
    const [statusDetails] = metadata.get('grpc-status-details-bin');
    const headerBytes = encodeURI(details).length + Math.ceil(((statusDetails?.length ?? 0) * 4) / 3);
    expect(headerBytes).toBeLessThan(7_900);
  });
});

describe('our client throws, and sends nothing, for', () => {
  const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1 } } };
  test.each<[what: string, bad: Partial<UsageRecord>, named: string]>([
    ['half a unit', { units: { text: { input: 1.5 } } }, 'units.text.input'],
    ['units that are no number', { units: { text: { output: Number.NaN } } }, 'units.text.output'],
    ['units without end', { units: { text: { input: Number.POSITIVE_INFINITY } } }, 'units.text.input'],
    [
      'units that a number does not hold exactly',
      { units: { text: { input: 2 ** 53 } } },
      'units.text.input',
    ],
    ['units beyond 64 bits', { units: { text: { input: 2n ** 63n } } }, 'units.text.input'],
    ['half a millisecond', { latencyMs: 0.5 }, 'latencyMs'],
    ['half a version', { experienceType: 'Summary', experienceVersion: 1.5 }, 'experienceVersion'],
    [
      'a version beyond 32 bits',
      { experienceType: 'Summary', experienceVersion: 2 ** 32 + 1 },
      'experienceVersion',
    ],
    ['an HTTP status beyond 32 bits', { httpStatusCode: 2 ** 32 + 200 }, 'httpStatusCode'],
    ['a time that is none', { eventTime: new Date('no time') }, 'time'],
  ])('%s, which the wire would quietly make something else', async (_what, bad, named) => {
    const eventId = randomUUID();
    const refused = service.client.usage.record({ ...call, ...bad, eventId });
    await expect(refused).rejects.toThrow(RangeError);
    await expect(refused).rejects.toThrow(named);
    expect((await service.client.usage.record({ ...call, eventId })).duplicate).toBe(false);
  });

  test('half a version of an experience to create or list', async () => {
    const wanted = { experienceType: 'Summary', experienceVersion: 1.5 };
    await expect(service.client.experiences.create(wanted)).rejects.toThrow(RangeError);
    await expect(readAll(service.client.experiences.list(wanted))).rejects.toThrow(RangeError);
    await expect(service.client.runs.start({ ...wanted, document: { content: 'x' } })).rejects.toThrow(
      RangeError,
    );
  });
});

describe('every bad field is named', () => {
  const text = (bytes: Uint8Array | string) => ({
    experienceType: 'Runnable',
    document: { content: Buffer.from(bytes) },
  });
  const parameters = (parametersJson: string) => ({ experienceType: 'Runnable', parametersJson });
  const name = (bad: string) => ({ name: bad, description: 'x' });
  test.each<[what: string, call: () => Promise<unknown>, fields: string[]]>([
    [
      'a type without a name and a description',
      () => raw.call(types.CreateExperienceType, {}),
      ['name', 'description'],
    ],
    [
      'a type with a space in its name',
      () => raw.call(types.CreateExperienceType, name('no name')),
      ['name'],
    ],
    ['a type with a slash in its name', () => raw.call(types.CreateExperienceType, name('a/b')), ['name']],
    [
      'a type with an accent in its name',
      () => raw.call(types.CreateExperienceType, name('Résumé')),
      ['name'],
    ],
    [
      'a type with a line break in its name',
      () => raw.call(types.CreateExperienceType, name('a\n')),
      ['name'],
    ],
    [
      'a type with a name of 65 characters',
      () => raw.call(types.CreateExperienceType, name('n'.repeat(65))),
      ['name'],
    ],
    [
      'a type with a description of spaces',
      () => raw.call(types.CreateExperienceType, { name: 'x', description: ' \n' }),
      ['description'],
    ],
    [
      'a type with everything too long',
      () =>
        raw.call(types.CreateExperienceType, {
          name: 'n'.repeat(65),
          description: 'd'.repeat(1_025),
          workflowType: 'w'.repeat(201),
          taskQueue: 'q'.repeat(201),
        }),
      ['name', 'description', 'workflow_type', 'task_queue'],
    ],
    [
      'a type with zero bytes',
      () =>
        raw.call(types.CreateExperienceType, {
          name: 'x',
          description: '\u0000',
          workflowType: '\u0000',
          taskQueue: '\u0000',
        }),
      ['description', 'workflow_type', 'task_queue'],
    ],
    ['getting no type', () => raw.call(types.GetExperienceType, {}), ['name']],
    ['deleting no type', () => raw.call(types.DeleteExperienceType, {}), ['name']],
    ['undeleting no type', () => raw.call(types.UndeleteExperienceType, {}), ['name']],
    ['updating no type to nothing', () => raw.call(types.UpdateExperienceType, {}), ['name', 'update_mask']],
    [
      'an unknown path in the mask',
      () =>
        raw.call(types.UpdateExperienceType, {
          name: 'Summary',
          updateMask: { paths: ['etag', 'x'.repeat(5_000)] },
        }),
      ['update_mask', 'update_mask'],
    ],
    [
      'raising no type by a bad request id',
      () => raw.call(types.IncrementExperienceTypeVersion, { requestId: 'é' }),
      ['name', 'request_id'],
    ],
    [
      'listing less than no types',
      () => raw.call(types.ListExperienceTypes, { pageSize: -1, pageToken: 'x' }),
      ['page_size', 'page_token'],
    ],
    [
      'listing less than no versions of no type',
      () => raw.call(types.ListExperienceTypeVersions, { pageSize: -1, pageToken: 'x' }),
      ['name', 'page_size', 'page_token'],
    ],
    [
      'an experience of no type',
      () =>
        raw.call(experiences.CreateExperience, {
          experienceVersion: -1,
          userId: 'a b',
          properties: { '': 'x' },
        }),
      ['experience_type', 'experience_version', 'user_id', 'properties'],
    ],
    [
      'beginning a document badly',
      () =>
        raw.call(documents.CreateDocument, {
          documentId: 'mine',
          name: 'n'.repeat(257),
          retention: { seconds: '59', nanos: 999_999_999 },
        }),
      ['document_id', 'name', 'retention'],
    ],
    [
      'keeping a document for longer than a year',
      () => raw.call(documents.CreateDocument, { retention: { seconds: '31536000', nanos: 1_000_000 } }),
      ['retention'],
    ],
    [
      'appending nothing to no document',
      () => raw.call(documents.AppendDocument, { offset: '1' }),
      ['offset', 'content', 'document_id'],
    ],
    [
      'appending too much',
      () => raw.call(documents.AppendDocument, { documentId: randomUUID(), content: Buffer.alloc(786_433) }),
      ['content'],
    ],
    [
      'appending beyond 50 MiB',
      () =>
        raw.call(documents.AppendDocument, {
          documentId: randomUUID(),
          offset: '52428800',
          content: Buffer.of(1),
        }),
      ['content'],
    ],
    [
      'committing nothing',
      () => raw.call(documents.CommitDocument, {}),
      ['size_bytes', 'sha256', 'document_id'],
    ],
    [
      'committing more than 50 MiB by half a hash',
      () =>
        raw.call(documents.CommitDocument, {
          documentId: randomUUID(),
          sizeBytes: '52428801',
          sha256: '0'.repeat(63),
        }),
      ['size_bytes', 'sha256'],
    ],
    [
      'reading before the start of no document',
      () => readAll(service.client.documents.read('', { offset: -1, length: -1 })),
      ['offset', 'length', 'document_id'],
    ],
    [
      'reading behind the end of a document',
      async () => {
        const { documentId } = await service.client.documents.upload('text');
        await readAll(service.client.documents.read(documentId, { offset: 5 }));
      },
      ['offset'],
    ],
    ['getting no document', () => raw.call(documents.GetDocument, {}), ['document_id']],
    ['deleting no document', () => raw.call(documents.DeleteDocument, {}), ['document_id']],
    [
      'keeping no result of no step',
      () => raw.call(runState.PutAnswer, {}),
      ['operation_key', 'content', 'experience_id'],
    ],
    [
      'keeping too large a result',
      () =>
        raw.call(runState.PutAnswer, {
          experienceId: randomUUID(),
          operationKey: 'k'.repeat(513),
          content: Buffer.alloc(262_145),
        }),
      ['operation_key', 'content'],
    ],
    [
      'reading the result of no step',
      () => raw.call(runState.GetAnswer, {}),
      ['operation_key', 'experience_id'],
    ],
    ['appending no turn', () => raw.call(runState.AppendTurn, { experienceId: randomUUID() }), ['turn']],
    [
      'appending a turn with everything too long',
      () =>
        raw.call(runState.AppendTurn, {
          turn: {
            turnId: 'first',
            number: 10_001,
            question: 'q'.repeat(16_385),
            answer: 'a'.repeat(65_537),
            passages: times(17, () => ({ offset: '-1', length: '52428801', text: 'é'.repeat(4_097) })),
          },
        }),
      [
        'turn.turn_id',
        'turn.number',
        'turn.passages',
        ...times(16, (n) =>
          ['text', 'offset', 'length'].map((field) => `turn.passages[${n}].${field}`),
        ).flat(),
        'turn.question',
        'turn.answer',
        'experience_id',
      ],
    ],
    [
      'listing less than no turns',
      () =>
        raw.call(runState.ListTurns, {
          experienceId: randomUUID(),
          turnId: 'first',
          afterNumber: -1,
          pageSize: -1,
          pageToken: 'x',
        }),
      ['page_size', 'turn_id', 'after_number', 'page_token'],
    ],
    [
      'publishing no output',
      () => raw.call(runState.PublishRunOutput, { experienceId: randomUUID() }),
      ['output'],
    ],
    [
      'publishing output of no step',
      () => raw.call(runState.PublishRunOutput, { output: {} }),
      ['output.attempt', 'output.sequence', 'output.text', 'output.output_key', 'experience_id'],
    ],
    [
      'publishing too much output',
      () =>
        raw.call(runState.PublishRunOutput, {
          experienceId: randomUUID(),
          output: { outputKey: 'k'.repeat(129), attempt: 1, sequence: 100_001, text: 'x'.repeat(16_385) },
        }),
      ['output.sequence', 'output.text', 'output.output_key'],
    ],
    ['getting no experience', () => raw.call(experiences.GetExperience, {}), ['experience_id']],
    ['deleting no experience', () => raw.call(experiences.DeleteExperience, {}), ['experience_id']],
    [
      'labelling no experience badly',
      () => raw.call(experiences.UpdateExperienceProperties, { set: { '': 'x' } }),
      ['set', 'experience_id'],
    ],
    [
      'listing less than no experiences',
      () =>
        raw.call(experiences.ListExperiences, { experienceType: 'a b', experienceVersion: -1, pageSize: -1 }),
      ['experience_type', 'experience_version', 'page_size'],
    ],
    [
      'recording nothing, with bad metadata',
      () => raw.call(usage.RecordUsage, {}, { metadata: [['xproxy-user-id', 'a b']] }),
      ['record', 'xproxy-user-id'],
    ],
    [
      'an empty record, with bad metadata',
      () => raw.call(usage.RecordUsage, { record: {} }, { metadata: [['xproxy-experience-version', '0']] }),
      ['record.units', 'record.provider', 'record.model', 'xproxy-experience-version'],
    ],
    [
      'listing less than no usage of nothing',
      () => raw.call(usage.ListUsage, { pageSize: -1, pageToken: 'x' }),
      ['page_size', 'page_token', 'experience_id'],
    ],
    ['getting no event', () => raw.call(usage.GetUsage, {}), ['event_id']],
    [
      'getting an event by two ids',
      () => raw.call(usage.GetUsage, { eventId: 'ä', providerResponseId: 'x'.repeat(257) }),
      ['event_id', 'provider_response_id', 'provider_response_id', 'provider'],
    ],
    [
      'getting an event of a provider alone',
      () => raw.call(usage.GetUsage, { eventId: 'a', provider: 'openai' }),
      ['provider'],
    ],
    [
      'labelling no event badly',
      () => raw.call(usage.UpdateUsageProperties, { set: { '': 'x', a: 'b' }, remove: ['a'] }),
      ['event_id', 'set', 'remove'],
    ],
    ['the cost of nothing', () => raw.call(costs.GetExperienceCost, {}), ['experience_id']],
    ['an estimate of nothing', () => raw.call(costs.EstimateCost, {}), ['provider', 'model', 'units']],
    [
      'an estimate of bad units at no time',
      () =>
        raw.call(costs.EstimateCost, {
          provider: 'a',
          model: 'b',
          units: { text: { input: '-1', output: '0' }, $x: {} },
          eventTime: { seconds: '-1', nanos: 0 },
        }),
      ['units[text].input', 'units[$x]', 'event_time'],
    ],
    [
      'a price of nothing',
      () => raw.call(prices.CreatePrice, { priceId: 'x' }),
      ['price_id', 'provider', 'model', 'rates'],
    ],
    [
      'retiring nothing at no time',
      () => raw.call(prices.RetirePrice, { retireTime: { seconds: '-1', nanos: 0 } }),
      ['retire_time', 'price_id'],
    ],
    ['getting no price', () => raw.call(prices.GetPrice, {}), ['price_id']],
    [
      'listing less than no providers',
      () => raw.call(prices.ListPricedProviders, { pageSize: -1, pageToken: 'x' }),
      ['page_size', 'page_token'],
    ],
    [
      'listing less than no prices in force at no time',
      () =>
        raw.call(prices.ListPricesInForce, {
          time: { seconds: '-1', nanos: 0 },
          pageSize: -1,
          pageToken: 'x',
        }),
      ['provider', 'source', 'time', 'page_size', 'page_token'],
    ],
    ['ending no model', () => raw.call(prices.RetireModel, {}), ['provider', 'model']],
    [
      'leaving out less than no limits',
      () => raw.call(contract.LimitService.service.ListLimits, { skip: -1 }),
      ['skip'],
    ],
    [
      'leaving out too many limits',
      () => raw.call(contract.LimitService.service.ListLimits, { skip: 100_001 }),
      ['skip'],
    ],
    [
      'listing less than no prices',
      () => raw.call(prices.ListPrices, { model: 'x', pageSize: -1, pageToken: 'x' }),
      ['model', 'page_size', 'page_token'],
    ],
    [
      'a run of nothing',
      () => raw.call(runs.StartExperience, { experienceVersion: -1, userId: 'a b', properties: { '': 'x' } }),
      ['experience_type', 'experience_version', 'user_id', 'properties', 'document'],
    ],
    ['an empty document', () => raw.call(runs.StartExperience, text('')), ['document.content']],
    ['a document of white space', () => raw.call(runs.StartExperience, text(' \n\t')), ['document.content']],
    [
      'a document that is no UTF-8',
      () => raw.call(runs.StartExperience, text(Uint8Array.of(0x89, 0x50, 0x4e, 0x47))),
      ['document.content'],
    ],
    [
      'a document with a zero byte',
      () => raw.call(runs.StartExperience, text('text\u0000text')),
      ['document.content'],
    ],
    [
      'a document over 512 KiB',
      () => raw.call(runs.StartExperience, text('x'.repeat(512 * 1024 + 1))),
      ['document.content'],
    ],
    [
      'a document with a name too long',
      () =>
        raw.call(runs.StartExperience, {
          experienceType: 'Runnable',
          document: { name: 'n'.repeat(257), content: Buffer.from('x') },
        }),
      ['document.name'],
    ],
    [
      'parameters that are no JSON',
      () => raw.call(runs.StartExperience, parameters('{')),
      ['parameters_json'],
    ],
    [
      'parameters that are no object',
      () => raw.call(runs.StartExperience, parameters('[]')),
      ['parameters_json'],
    ],
    [
      'parameters over 64 KiB',
      () => raw.call(runs.StartExperience, parameters(JSON.stringify({ x: 'x'.repeat(65_536) }))),
      ['parameters_json'],
    ],
    ['getting no run', () => raw.call(runs.GetExperienceRun, {}), ['experience_id']],
    ['querying no costs', () => raw.call(costs.QueryCosts, {}), ['start_time', 'end_time']],
    [
      'querying costs of a range that is none',
      () => raw.call(costs.QueryCosts, { startTime: HOUR, endTime: HOUR }),
      ['end_time'],
    ],
    [
      'querying costs between hours',
      () =>
        raw.call(costs.QueryCosts, {
          startTime: { seconds: '1800', nanos: 0 },
          endTime: { seconds: '7200', nanos: 1 },
        }),
      ['start_time', 'end_time'],
    ],
    [
      'querying costs by what is none',
      () =>
        raw.call(costs.QueryCosts, {
          ...RANGE,
          groupBy: [
            'COST_DIMENSION_UNSPECIFIED',
            'COST_DIMENSION_MODEL',
            'COST_DIMENSION_MODEL',
            99 as never,
            'COST_DIMENSION_EXPERIENCE_VERSION',
          ],
          timeBucket: 99 as never,
        }),
      ['group_by[0]', 'group_by[2]', 'group_by[3]', 'group_by', 'time_bucket'],
    ],
    [
      'querying costs of a version of no type',
      () => raw.call(costs.QueryCosts, { ...RANGE, experienceVersion: 1 }),
      ['experience_version'],
    ],
    [
      'querying costs of a version of what has no type',
      () => raw.call(costs.QueryCosts, { ...RANGE, experienceType: '', experienceVersion: 1 }),
      ['experience_version'],
    ],
    [
      'querying costs of names that cannot be',
      () =>
        raw.call(costs.QueryCosts, {
          ...RANGE,
          experienceType: 'a b',
          experienceVersion: -1,
          provider: 'p'.repeat(129),
          model: 'm'.repeat(257),
        }),
      ['experience_type', 'experience_version', 'provider', 'model'],
    ],
    ['no distribution', () => raw.call(costs.GetCostDistribution, {}), ['experience_type']],
    [
      'a distribution of figures that cannot be',
      () =>
        raw.call(costs.GetCostDistribution, {
          experienceType: 'a b',
          experienceVersion: -1,
          percentiles: [0, 100.001, Number.NaN, 99.9999, 50, Number.POSITIVE_INFINITY, -1],
          dearestCount: 101,
          barCountMax: -1,
        }),
      [
        'experience_type',
        'experience_version',
        ...[0, 1, 2, 3, 5, 6].map((index) => `percentiles[${index}]`),
        'dearest_count',
        'bar_count_max',
      ],
    ],
    [
      'a distribution with too many percentiles and bars',
      () =>
        raw.call(costs.GetCostDistribution, {
          experienceType: 'Summary',
          percentiles: times(21, (n) => n + 1),
          dearestCount: -1,
          barCountMax: 61,
        }),
      ['percentiles', 'dearest_count', 'bar_count_max'],
    ],
    [
      'comparing nothing',
      () => raw.call(costs.CompareVersions, {}),
      ['experience_type', 'first_version', 'second_version'],
    ],
    [
      'comparing a version with itself',
      () => raw.call(costs.CompareVersions, { experienceType: 'Summary', firstVersion: 1, secondVersion: 1 }),
      ['second_version'],
    ],
    [
      'comparing versions that cannot be',
      () =>
        raw.call(costs.CompareVersions, {
          experienceType: 'Summary',
          firstVersion: -1,
          secondVersion: 0,
          percentiles: [101],
        }),
      ['first_version', 'second_version', 'percentiles[0]'],
    ],
    [
      'cancelling no run for a long reason',
      () => raw.call(runs.CancelExperience, { reason: 'r'.repeat(1_025) }),
      ['reason', 'experience_id'],
    ],
  ])('of %s', async (_what, call, fields) => {
    const error = await refusal(call());
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' });
    expect(error.violations.map(({ field }) => field)).toEqual(fields);
  });

  test('where ids are strict together with the id that is no UUID', async () => {
    const strict = await startTestService({ strictIds: true });
    onTestFinished(() => strict.stop());
    const bad = strict.client.usage.record({
      provider: '',
      model: 'm',
      units: { text: { input: 1 } },
      experienceId: 'order 17',
    });
    const error = await refusal(bad);
    expect(error.violations.map(({ field }) => field)).toEqual([
      'record.attribution.experience_id',
      'record.provider',
    ]);
  });
});

describe('bytes that no client of the contract sends', () => {
  /** A record of 7 units of text, and more fields behind it. */
  function recordWith(more: (writer: protobuf.Writer) => protobuf.Writer): Buffer {
    const record = protobuf.Writer.create();
    record.uint32(tag(3)).string('openai').uint32(tag(4)).string('gpt-4o-mini');
    record
      .uint32(tag(6))
      .fork()
      .uint32(tag(1))
      .string('text')
      .uint32(tag(2))
      .fork()
      .uint32(8)
      .int32(7)
      .ldelim()
      .ldelim();
    return Buffer.from(protobuf.Writer.create().uint32(tag(1)).bytes(more(record).finish()).finish());
  }
  const tag = (field: number) => (field << 3) | 2;
  const entry = (writer: protobuf.Writer, field: number, key: string) =>
    writer.uint32(tag(field)).fork().uint32(tag(1)).string(key);

  test.each<[what: string, bytes: Buffer]>([
    ['a length beyond the end', Buffer.of(0x0a, 0x50, 0x01)],
    ['a varint without end', Buffer.alloc(11, 0xff)],
    ['messages nested without end', Buffer.alloc(2_000, 0x0b)],
    ['a unit kind without a count', recordWith((writer) => entry(writer, 6, 'audio').ldelim())],
  ])('as %s are INVALID_ARGUMENT, in our words', async (_what, bytes) => {
    const error = await refusal(raw.callBytes(usage.RecordUsage, bytes));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message: 'The request cannot be read as a message of the contract.',
      violations: [],
    });
  });

  test('cannot hide units under a name that JavaScript takes for something else', async () => {
    const bytes = recordWith((writer) =>
      entry(writer, 6, '__proto__').uint32(tag(2)).fork().uint32(8).int32(9).ldelim().ldelim(),
    );
    const error = await refusal(raw.callBytes(usage.RecordUsage, bytes));
    expect(error.violations.map(({ field }) => field)).toEqual(['record.units[__proto__]']);
  });

  test('with fields of a later contract are taken for what this one knows', async () => {
    const bytes = recordWith((writer) => writer.uint32(tag(1_000)).string('from the future'));
    const { event } = await raw.callBytes(usage.RecordUsage, bytes);
    expect(event?.units).toEqual({ text: { input: '7', output: '0' } });
  });

  test('over 1 MiB are RESOURCE_EXHAUSTED, and under it are read', async () => {
    const sized = (bytes: number) =>
      raw.call(usage.RecordUsage, { record: { ...CALL, properties: { k: 'v'.repeat(bytes) } } });
    await expect(sized(MEBIBYTE)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await expect(sized(MEBIBYTE - 1_000)).rejects.toMatchObject({
      violations: [{ field: 'record.properties[k]' }],
    });
  });

  test('of an unknown method are UNIMPLEMENTED', async () => {
    const unknown = { ...usage.RecordUsage, path: '/experiences.v1.UsageService/Missing' };
    await expect(raw.call(unknown, {})).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });
});

describe('a fault of the service', () => {
  let mongo: MongoClient;
  beforeAll(async () => {
    mongo = await MongoClient.connect(service.options.mongodbUri);
  });
  afterAll(() => mongo.close());

  test.each<[what: string, provoke: () => Promise<unknown>, inside: string]>([
    [
      'of its own code',
      async () => {
        const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
        await mongo
          .db(service.options.databaseName)
          .collection('experiences')
          .updateOne(
            { '_id.x': new UUID(experience.experienceId) as never },
            { $set: { ci: Decimal128.fromString('NaN') } },
          );
        return service.client.experiences.get(experience.experienceId);
      },
      'finite Decimal128',
    ],
    [
      'of the store',
      async () => {
        const database = mongo.db(service.options.databaseName);
        await database.command({ collMod: 'events', validator: { p: { $ne: 'poison' } } });
        return raw.call(usage.RecordUsage, { record: { ...CALL, provider: 'poison' } });
      },
      'failed validation',
    ],
  ])(
    '%s is INTERNAL with an incident id, and what it says inside is in the log only',
    async (_what, provoke, inside) => {
      logged.length = 0;
      const error = await refusal(provoke());
      const incidentId = error.metadata.incident_id ?? '';
      expect(incidentId).toMatch(UUID_TEXT);
      expect(error).toMatchObject({
        code: 'INTERNAL',
        reason: 'INTERNAL',
        message: `The service failed; the incident is ${incidentId}.`,
        metadata: { incident_id: incidentId },
        violations: [],
        retryAfterMs: undefined,
      });
      const sent = JSON.stringify((error.cause as ServiceError).metadata.toJSON());
      expect(Buffer.from(sent).includes(inside)).toBe(false);
      expect(logged).toHaveLength(1);
      expect(JSON.parse(logged[0] ?? '')).toMatchObject({
        msg: 'a call failed by a fault of the service',
        incidentId,
        method: expect.stringMatching(/^\/experiences\.v1\./),
        err: { message: expect.stringContaining(inside), stack: expect.stringContaining('.ts:') },
      });
    },
  );
});

describe('a reason', () => {
  /** The status of each, after how long to try again, and how it is provoked. */
  const PROVOKED: Partial<
    Record<FaultReason, [code: string, retryAfterMs: number | undefined, provoke: () => Promise<unknown>]>
  > = {
    INVALID_FIELDS: ['INVALID_ARGUMENT', undefined, () => raw.call(usage.RecordUsage, {})],
    ATTRIBUTION_CONFLICT: [
      'INVALID_ARGUMENT',
      undefined,
      () =>
        raw.call(
          usage.RecordUsage,
          { record: { ...CALL, attribution: { userId: 'ada' } } },
          { metadata: [['xproxy-user-id', 'grace']] },
        ),
    ],
    EXPERIENCE_TYPE_NOT_FOUND: ['NOT_FOUND', undefined, () => service.client.types.get('Missing')],
    EXPERIENCE_TYPE_VERSION_NOT_FOUND: [
      'NOT_FOUND',
      undefined,
      () => service.client.experiences.create({ experienceType: 'Summary', experienceVersion: 9 }),
    ],
    EXPERIENCE_NOT_FOUND: ['NOT_FOUND', undefined, () => service.client.experiences.get(randomUUID())],
    EXPERIENCE_RUN_NOT_FOUND: [
      'NOT_FOUND',
      undefined,
      async () => {
        const { experience } = await service.client.experiences.create({ experienceType: 'Runnable' });
        await service.client.runs.get(experience.experienceId);
      },
    ],
    DOCUMENT_NOT_FOUND: ['NOT_FOUND', undefined, () => service.client.documents.get(randomUUID())],
    DOCUMENT_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        const documentId = await documentBegun();
        await raw.call(documents.CreateDocument, { documentId, name: 'other' });
      },
    ],
    DOCUMENT_COMMITTED: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const { documentId } = await service.client.documents.upload('text');
        await raw.call(documents.AppendDocument, { documentId, content: Buffer.from('more') });
      },
    ],
    DOCUMENT_MISMATCH: [
      'FAILED_PRECONDITION',
      undefined,
      async () =>
        raw.call(documents.CommitDocument, {
          documentId: await documentBegun(),
          sizeBytes: '4',
          sha256: '0'.repeat(64),
        }),
    ],
    DOCUMENT_NOT_COMMITTED: [
      'FAILED_PRECONDITION',
      undefined,
      async () => service.client.documents.readText(await documentBegun()),
    ],
    PRICE_NOT_FOUND: ['NOT_FOUND', undefined, () => service.client.prices.get(randomUUID())],
    USAGE_NOT_FOUND: ['NOT_FOUND', undefined, () => service.client.usage.get(randomUUID())],
    BLOCKING_LIMIT_NOT_ALLOWED: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const { limit } = await service.client.limits.create({
          name: 'Blocks reports',
          maxCost: '1',
          type: 'BLOCK',
        });
        const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1 } } };
        await service.client.usage.record(
          { ...call, limitIds: [limit.limitId] },
          { refuseBlockingLimits: true },
        );
      },
    ],
    LIMIT_NOT_FOUND: ['NOT_FOUND', undefined, () => service.client.limits.get(randomUUID())],
    LIMIT_REACHED: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const config = { maxCost: '1', type: 'BLOCK' } as const;
        const { limit } = await service.client.limits.create({ name: randomUUID(), ...config });
        const { provider, model } = CALL;
        const call = { eventId: randomUUID(), provider, model, limitIds: [limit.limitId] };
        await service.client.usage.reserve({ ...call, estimate: { cost: '2' } });
      },
    ],
    LIMIT_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        await service.client.limits.create({ name: 'Taken', maxCost: '1' });
        await service.client.limits.create({ name: 'Taken', maxCost: '2' });
      },
    ],
    LIMIT_MAX_BELOW_SPEND: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const { limit } = await service.client.limits.create({ name: 'Spent', maxCost: '5' });
        const units = { text: { input: 2 } }; // Each costs 1.
        await service.client.usage.record({
          provider: 'acme',
          model: 'one',
          units,
          limitIds: [limit.limitId],
        });
        await service.client.limits.update(limit.limitId, { maxCost: '1' });
      },
    ],
    REPRICING_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        const { repricingId } = await service.client.prices.repriceUnpriced({ provider: 'acme' });
        await service.client.prices.repriceUnpriced({ provider: 'other', repricingId });
      },
    ],
    EXPERIENCE_TYPE_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      () => service.client.types.create({ name: 'Summary', description: 'Other' }),
    ],
    EXPERIENCE_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
        await service.client.experiences.create({
          experienceType: 'Runnable',
          experienceId: experience.experienceId,
        });
      },
    ],
    EXPERIENCE_RUN_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        const experienceId = await startRun(service);
        await service.client.runs.start({
          experienceType: 'Runnable',
          experienceId,
          document: { content: 'Other' },
        });
      },
    ],
    EVENT_ID_CONFLICT: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        const eventId = randomUUID();
        await raw.call(usage.RecordUsage, { record: { ...CALL, eventId } });
        await raw.call(usage.RecordUsage, { record: { ...CALL, eventId, step: 'other' } });
      },
    ],
    TURN_ALREADY_EXISTS: [
      'ALREADY_EXISTS',
      undefined,
      async () => {
        const [experienceId, turnId] = [randomUUID(), randomUUID()];
        await service.client.runState.appendTurn(experienceId, { turnId, question: 'One?', answer: 'One.' });
        await service.client.runs.ask({ experienceId, turnId, question: 'Two?' });
      },
    ],
    TURN_REFUSED: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const experienceId = await startRun(service);
        await terminateRun(experienceId);
        await service.client.runs.ask({ experienceId, question: 'Is it still there?' });
      },
    ],
    ETAG_MISMATCH: [
      'ABORTED',
      undefined,
      () => service.client.types.update('Summary', { description: 'Other', etag: '"0"' }),
    ],
    EXPERIENCE_TYPE_HAS_NO_WORKFLOW: [
      'FAILED_PRECONDITION',
      undefined,
      () => service.client.runs.start({ experienceType: 'Summary', document: { content: 'Text' } }),
    ],
    EXPERIENCE_HAS_NO_BUDGET: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
        await service.client.runs.raiseBudget(experience.experienceId, '1');
      },
    ],
    EXPERIENCE_RUN_NOT_RUNNING: [
      'FAILED_PRECONDITION',
      undefined,
      async () => {
        const experienceId = await startRun(service);
        await terminateRun(experienceId);
        await service.client.runs.cancel(experienceId);
      },
    ],
    APPLICATION_FULL: [
      'RESOURCE_EXHAUSTED',
      undefined,
      async () => {
        await service.client.types.create({ name: 'Full', description: 'Has all the versions it may have' });
        const mongo = await MongoClient.connect(service.options.mongodbUri);
        const kept = mongo.db(service.options.databaseName).collection('experience_types');
        await kept.updateOne({ '_id.n': 'Full' }, { $set: { v: 1_000 } });
        await mongo.close();
        await service.client.types.incrementVersion('Full');
      },
    ],
    QUERY_TOO_LARGE: [
      'RESOURCE_EXHAUSTED',
      undefined,
      () => service.client.costs.query({ startTime: new Date(0), endTime: new Date('2020-01-01') }),
    ],
    TOO_MANY_WATCHERS: ['RESOURCE_EXHAUSTED', 1_000, () => tooManyWatchers()],
    OVERLOADED: ['RESOURCE_EXHAUSTED', 500, () => overload()],
    WORKFLOW_ENGINE_UNAVAILABLE: [
      'UNAVAILABLE',
      2_000,
      async () => {
        const alone = await startTestService({ temporalAddress: '127.0.0.1:1' });
        onTestFinished(() => alone.stop());
        const client = new RawClient(alone.address);
        onTestFinished(() => client.close());
        await client.call(runs.StartExperience, { experienceType: 'Any', parametersJson: '{}' });
      },
    ],
    SHUTTING_DOWN: ['UNAVAILABLE', 1_000, () => watchUntilStopped()],
  };
  /**
   * Gotten by the tests that take the store away or run out of time, by those of a fault of the service above, and by those
   * that check the books.
   */
  const ELSEWHERE: readonly FaultReason[] = [
    'STORE_UNAVAILABLE',
    'DEADLINE_EXCEEDED',
    'INTERNAL',
    'BOOK_CHECK_RUNNING',
    'REPAIR_RUNNING',
    // By those of keys and applications.
    'INVALID_API_KEY',
    'SCOPE_MISSING',
    'BOOTSTRAP_KEY_REQUIRED',
    'APPLICATION_NOT_FOUND',
    'APPLICATION_ALREADY_EXISTS',
    'API_KEY_NOT_FOUND',
    'API_KEY_ALREADY_EXISTS',
  ];

  test.each(Object.entries(PROVOKED))(
    '%s is gotten with its status and says when to try again',
    async (reason, [code, retryAfterMs, provoke]) => {
      const error = await refusal(provoke());
      expect(error).toMatchObject({ reason, code, retryAfterMs });
      expect(error.message).toMatch(/^[^\n]{10,300}$/);
    },
  );

  test('that there is, is gotten here or where its cause is provoked', () => {
    expect([...Object.keys(PROVOKED), ...ELSEWHERE].sort()).toEqual([...FAULT_REASONS].sort());
  });

  test('is one of the contract’s, and the contract has no other', () => {
    const { ERROR_REASON_UNSPECIFIED: _never, ...named } = reasonsOfContract();
    expect(Object.keys(named).sort()).toEqual(FAULT_REASONS.map((reason) => `ERROR_REASON_${reason}`).sort());
    for (const reason of FAULT_REASONS) expect(reason).toMatch(/^[A-Z_]{1,63}$/);
  });
});

async function documentBegun(): Promise<string> {
  return (await raw.call(documents.CreateDocument, {})).document?.documentId ?? '';
}

function reasonsOfContract(): Readonly<Record<string, number>> {
  const file = 'experiences/v1/error_reason.proto';
  const found = loadSync(file, { includeDirs: [join(PACKAGE_ROOT, 'proto')] })['experiences.v1.ErrorReason'];
  if (found === undefined) throw new Error('the contract has no reasons');
  const { value } = found.type as { value: { name: string; number: number }[] };
  return Object.fromEntries(value.map(({ name, number }) => [name, number]));
}

/** What a call was refused with; it must be. */
async function refusal(call: Promise<unknown>): Promise<ExperiencesError> {
  const error = await call.then(
    () => new Error('the call was answered'),
    (reason: unknown) => reason,
  );
  if (error instanceof ExperiencesError) return error;
  throw error;
}

/** Starts a run whose workflow no worker knows, so that it goes on until it is ended. */
async function startRun({ client }: TestService): Promise<string> {
  const { run } = await client.runs.start({ experienceType: 'Runnable', document: { content: 'Text' } });
  expect(run.state).toBe('RUNNING');
  return run.experienceId;
}

async function terminateRun(experienceId: string): Promise<void> {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  await new WorkflowClient({ connection }).getHandle(`default/${experienceId}`).terminate();
  await connection.close();
}

/** Opens one watch more than a process serves; throws what that one is refused with. */
async function tooManyWatchers(): Promise<never> {
  const experienceId = await startRun(service);
  const client = rawStreams(service.address);
  const watches = times(257, () => watch(client, experienceId));
  try {
    throw await Promise.race(watches.map(endOf));
  } finally {
    for (const one of watches) one.cancel();
    client.close();
    await terminateRun(experienceId);
  }
}

/** Watches a run of a service of its own until that stops; throws what the watch ends with. */
async function watchUntilStopped(): Promise<never> {
  const stopping = await startTestService();
  const { types: own } = stopping.client;
  await own.create({
    name: 'Runnable',
    description: 'Has a workflow that nobody runs',
    workflowType: 'nobody',
  });
  const client = rawStreams(stopping.address);
  try {
    const watched = watch(client, await startRun(stopping));
    const end = endOf(watched);
    await once(watched, 'data');
    await stopping.stop();
    throw await end;
  } finally {
    client.close();
  }
}

/** A client of its own connection, for streams without the care of our client. */
function rawStreams(address: string): Client {
  return new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
}

function watch(client: Client, experienceId: string): ClientReadableStream<unknown> {
  const { path, requestSerialize, responseDeserialize } = runs.WatchExperienceRun;
  return client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    { experienceId },
    new Metadata(),
  );
}

async function endOf(stream: ClientReadableStream<unknown>): Promise<unknown> {
  return new Promise((resolve) => stream.on('error', (error) => resolve(fromServiceError(error))));
}

/**
 * Sends more writes than a service lets wait, all to an experience that another transaction holds meanwhile: the first is
 * under way, three wait. Throws what the others are refused with.
 */
async function overload(): Promise<never> {
  const small = await startTestService({ writesWaitingMax: 3 });
  onTestFinished(() => small.stop());
  const client = new RawClient(small.address);
  onTestFinished(() => client.close());
  const mongo = await MongoClient.connect(small.options.mongodbUri);
  onTestFinished(() => mongo.close());
  const experienceId = randomUUID();
  const record = { ...CALL, attribution: { experienceId } };
  await client.call(usage.RecordUsage, { record });
  const refused = await mongo.withSession(async (holding) => {
    holding.startTransaction();
    const kept = mongo.db(small.options.databaseName).collection('experiences');
    await kept.updateOne({}, { $set: { held: true } }, { session: holding });
    const calls = times(20, () => client.call(usage.RecordUsage, { record }));
    const first = await Promise.race(calls.map(refusal));
    await holding.abortTransaction();
    // Nothing that was taken before suffers.
    const answers = await Promise.allSettled(calls);
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    return first;
  });
  expect((await small.client.costs.get(experienceId)).totals.eventCount).toBe(5n);
  throw refused;
}
