import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Binary, MongoServerError } from 'mongodb';
import type { Price } from '../pricing/price.js';
import { CATALOGUE } from './application-state.js';
import { BookCheck } from './book-check.js';
import { BookMender } from './book-mender.js';
import { toPriceDocument } from './price-document.js';
import { UnfitServer } from './probe.js';
import { RUN_OUTPUT_KEPT_MS } from './run-outputs.js';
import { SchemaLease } from './schema-lease.js';
import { splitLimitSums } from './split-limit-sums.js';
import type { Store } from './store.js';
import { TURN_KEPT_MS } from './turns.js';

/**
 * Brings the database to the schema of this code: collections (a transaction cannot make them everywhere), indexes, the
 * default application and the catalogue of prices. Safe to run twice and from several processes at once: one holds a
 * lease, the others wait and find the work done. Nothing is written when all is there, so that a service without the
 * right to create indexes can start. A database of a newer release is refused and left as it is.
 */
export async function migrate(
  store: Store,
  catalogue: readonly Price[],
  applications: readonly string[],
): Promise<void> {
  const catalogueHash = hashOf(catalogue);
  if (await isUpToDate(store, catalogueHash, applications)) return;
  const lease = await takeLease(store);
  try {
    if (await isUpToDate(store, catalogueHash, applications)) return;
    const version = await versionOf(store);
    await createCollections(store);
    await createIndexes(store);
    await createStateIndexes(store);
    if (version === 1) await keepCatalogueRevision(store);
    await seedCatalogue(store, catalogue, catalogueHash);
    for (const application of applications) {
      await store.applications.updateOne(
        { _id: application },
        { $setOnInsert: { r: 1, c: new Date() } },
        { upsert: true },
      );
    }
    await store.schema.updateOne(
      { _id: 'page-token-key' },
      { $setOnInsert: { k: new Binary(randomBytes(32)) } },
      { upsert: true },
    );
    if (version === 1) await buildBooks(store, lease);
    if (version > 1 && version < 4) await splitAllLimitSums(store);
    await store.schema.updateOne({ _id: 'version' }, { $max: { v: SCHEMA_VERSION } }, { upsert: true });
  } finally {
    await lease.release();
  }
}

/** Raised by every change of collections or indexes. */
export const SCHEMA_VERSION = 4;

async function isUpToDate(
  store: Store,
  catalogueHash: string,
  applications: readonly string[],
): Promise<boolean> {
  const version = await versionOf(store);
  if (version > SCHEMA_VERSION) throw ofNewerRelease(version);
  if (version < SCHEMA_VERSION) return false;
  const catalogue = await store.schema.findOne({ _id: 'catalogue' });
  if (catalogue?.h !== catalogueHash) return false;
  const found = await store.applications.countDocuments({ _id: { $in: [...applications] } });
  return found === new Set(applications).size;
}

/** 0: there is nothing yet. */
async function versionOf(store: Store): Promise<number> {
  return (await store.schema.findOne({ _id: 'version' }))?.v ?? 0;
}

function ofNewerRelease(version: number): UnfitServer {
  return new UnfitServer(
    `The database has schema version ${version} of a newer release; this one knows ${SCHEMA_VERSION}.`,
  );
}

async function createCollections(store: Store): Promise<void> {
  const wanted = [
    'applications',
    'api_keys',
    'experience_types',
    'experiences',
    'events',
    'prices',
    'rollups',
    'histograms',
    'guards',
    'repricings',
    'repairs',
    'reservations',
    'limits',
    'limit_sums',
    'schema',
    'documents',
    'document_parts',
    'answers',
    'turns',
    'run_outputs',
  ];
  const present = new Set(
    (await store.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name),
  );
  for (const name of wanted.filter((candidate) => !present.has(candidate))) {
    await store.db.createCollection(name).catch(ignoreCode(NAMESPACE_EXISTS));
  }
}

async function createIndexes(store: Store): Promise<void> {
  await store.events.createIndexes([
    {
      key: { '_id.a': 1, x: 1, r: 1, _id: 1 },
      name: 'by_experience',
      partialFilterExpression: { x: { $exists: true } },
    },
    { key: { '_id.a': 1, q: 1 }, name: 'by_event_time' },
    {
      key: { '_id.a': 1, uo: 1 },
      name: 'by_useful_operation',
      partialFilterExpression: { uo: { $exists: true } },
    },
    {
      key: { '_id.a': 1, q: 1, _id: 1 },
      name: 'unpriced_by_event_time',
      partialFilterExpression: { up: { $exists: true } },
    },
    {
      key: { '_id.a': 1, 'li.i': 1 },
      name: 'by_limit',
      partialFilterExpression: { li: { $exists: true } },
    },
    {
      key: { '_id.a': 1, ps: 1, r: -1 },
      name: 'by_provider_response',
      partialFilterExpression: { ps: { $exists: true } },
    },
  ]);
  const open = { s: 'o' };
  await store.reservations.createIndexes([
    { key: { '_id.a': 1, u: 1, _id: 1 }, name: 'open_by_expiry', partialFilterExpression: open },
    { key: { '_id.a': 1, x: 1 }, name: 'open_by_experience', partialFilterExpression: open },
    { key: { '_id.a': 1, 'li.i': 1 }, name: 'open_by_limit', partialFilterExpression: open },
  ]);
  await store.experiences.createIndexes([
    { key: { '_id.a': 1, c: -1, _id: -1 }, name: 'by_time' },
    { key: { '_id.a': 1, t: 1, v: 1, c: -1, _id: -1 }, name: 'by_type_version' },
    { key: { '_id.a': 1, t: 1, c: -1, _id: -1 }, name: 'by_type' },
    {
      key: { '_id.a': 1, t: 1, v: 1, ct: -1, _id: 1 },
      name: 'by_cost',
      partialFilterExpression: { ct: { $exists: true } },
    },
  ]);
  await store.rollups.createIndexes([
    {
      key: { '_id.a': 1, '_id.g': 1, '_id.t': 1, '_id.h': 1, '_id.v': 1, '_id.p': 1, '_id.m': 1 },
      name: 'by_type',
    },
    { key: { '_id.a': 1, '_id.g': 1, '_id.h': 1 }, name: 'by_time' },
  ]);
  await store.prices.createIndexes([
    { key: { '_id.a': 1, p: 1, ml: 1, q: 1, c: 1, _id: 1 }, name: 'by_model' },
  ]);
  await store.apiKeys.createIndex({ a: 1, c: -1, _id: -1 }, { name: 'by_application' });
  await createLimitIndexes(store);
}

/** Experiences may own as many limits as they are; the few that are shared have indexes of their own. */
async function createLimitIndexes(store: Store): Promise<void> {
  const tagged = { tg: { $exists: true } };
  const shared = { s: true };
  await store.limits.createIndexes([
    {
      key: { '_id.a': 1, nk: 1 },
      name: 'by_taken_name',
      unique: true,
      partialFilterExpression: { nk: { $exists: true } },
    },
    { key: { '_id.a': 1, c: -1, _id: -1 }, name: 'by_time' },
    { key: { '_id.a': 1, n: 1, c: -1, _id: -1 }, name: 'by_name' },
    { key: { '_id.a': 1, tg: 1, c: -1, _id: -1 }, name: 'by_tag', partialFilterExpression: tagged },
    { key: { '_id.a': 1, c: -1, _id: -1 }, name: 'shared_by_time', partialFilterExpression: shared },
    {
      key: { '_id.a': 1, tg: 1, c: -1, _id: -1 },
      name: 'shared_by_tag',
      partialFilterExpression: { ...tagged, ...shared },
    },
  ]);
}

/** What has an end of its own is removed by the store, soon after its time: reads of all but turns look at the time
 * themselves. */
async function createStateIndexes(store: Store): Promise<void> {
  await store.documents.createIndexes([
    { key: { u: 1 }, name: 'expiry', expireAfterSeconds: 0 },
    { key: { '_id.a': 1, u: 1, z: 1 }, name: 'by_application' },
  ]);
  await store.documentParts.createIndex({ u: 1 }, { name: 'expiry', expireAfterSeconds: 0 });
  await store.answers.createIndex({ u: 1 }, { name: 'expiry', expireAfterSeconds: 0 });
  await store.turns.createIndexes([
    { key: { '_id.a': 1, '_id.x': 1, n: 1 }, name: 'by_number', unique: true },
    { key: { c: 1 }, name: 'expiry', expireAfterSeconds: TURN_KEPT_MS / 1_000 },
  ]);
  await store.runOutputs.createIndex(
    { c: 1 },
    { name: 'expiry', expireAfterSeconds: RUN_OUTPUT_KEPT_MS / 1_000 },
  );
}

/** Version 1 kept the revision of the catalogue elsewhere, and an index of useful events of another meaning. */
async function keepCatalogueRevision(store: Store): Promise<void> {
  const catalogue = await store.schema.findOne({ _id: 'catalogue' });
  await store.applications.updateOne(
    { _id: CATALOGUE },
    { $setOnInsert: { r: catalogue?.v ?? 1 } },
    { upsert: true },
  );
  await store.schema.updateOne({ _id: 'catalogue' }, { $unset: { v: '' } });
  await store.events.dropIndex('useful_by_operation').catch(ignoreCode(INDEX_NOT_FOUND));
}

/** Version 1 had events and totals only: everything else is made of the events, as a repair would make it. */
async function buildBooks(store: Store, lease: SchemaLease): Promise<void> {
  const applications = await store.applications.find({ _id: { $ne: CATALOGUE } }).toArray();
  for (const { _id: application } of applications) {
    const mender = new BookMender(store, application, lease, { audited: false });
    const scope = { application, type: undefined, since: undefined, deep: true };
    const check = new BookCheck(store, scope, { mender, signal: new AbortController().signal });
    for await (const _difference of check.differences()) {
      // What cannot be made of the events stays as it is; verify names it.
    }
  }
}

async function splitAllLimitSums(store: Store): Promise<void> {
  const applications = await store.applications.find({ _id: { $ne: CATALOGUE } }).toArray();
  for (const { _id: application } of applications) await splitLimitSums(store, application);
}

/** Rows are only ever added: an event may keep the id of any price that once was in force. */
async function seedCatalogue(
  store: Store,
  catalogue: readonly Price[],
  catalogueHash: string,
): Promise<void> {
  const documents = catalogue.map((price) => toPriceDocument('', price));
  for (let start = 0; start < documents.length; start += SEED_CHUNK) {
    await store.prices.bulkWrite(
      documents.slice(start, start + SEED_CHUNK).map((document) => ({
        updateOne: { filter: { _id: document._id }, update: { $setOnInsert: document }, upsert: true },
      })),
      { ordered: false },
    );
  }
  await store.applications.updateOne({ _id: CATALOGUE }, { $inc: { r: 1 } }, { upsert: true });
  await store.schema.updateOne({ _id: 'catalogue' }, { $set: { h: catalogueHash } }, { upsert: true });
}

async function takeLease(store: Store): Promise<SchemaLease> {
  const giveUp = Date.now() + LEASE_WAIT_MS;
  while (Date.now() < giveUp) {
    const lease = await SchemaLease.take(store, 'lease');
    if (lease !== undefined) return lease;
    await sleep(LEASE_POLL_MS); // Another process migrates.
  }
  throw new Error(
    `another process has been migrating the database for more than ${LEASE_WAIT_MS / 1_000} seconds`,
  );
}

function hashOf(catalogue: readonly Price[]): string {
  const hash = createHash('sha256');
  for (const { id } of catalogue) hash.update(id);
  return hash.digest('hex');
}

function ignoreCode(code: number): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof MongoServerError && error.code === code)) throw error;
  };
}

const SEED_CHUNK = 500;
const LEASE_WAIT_MS = 90_000;
const LEASE_POLL_MS = 100;
const NAMESPACE_EXISTS = 48;
const INDEX_NOT_FOUND = 27;
