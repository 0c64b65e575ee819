import {
  Binary,
  Decimal128,
  MongoServerError,
  MongoServerSelectionError,
  ServerType,
  type TopologyDescription,
} from 'mongodb';
import { parseMoney } from '../domain/money.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import type { Store } from './store.js';
import { inTransaction } from './transaction.js';

/** That the server cannot do what the promises rest on; the message tells the command that mends it. */
export class UnfitServer extends Error {
  override readonly name = 'UnfitServer';
}

/** Connects, or says in a few seconds which server is not there or not ready. */
export async function connect(store: Store): Promise<void> {
  try {
    await store.client.connect();
  } catch (error) {
    if (!(error instanceof MongoServerSelectionError)) throw error;
    const hosts = store.client.options.hosts.join(', ');
    throw new UnfitServer(unreachable(hosts, error), { cause: error });
  }
}

function unreachable(hosts: string, error: MongoServerSelectionError): string {
  const topology: TopologyDescription | undefined = error.reason;
  const servers = [...(topology?.servers.values() ?? [])];
  if (servers.some(({ type }) => type === ServerType.RSGhost)) {
    return `MongoDB at ${hosts} is a replica set that was never initiated. ${INITIATE}`;
  }
  if (servers.length === 0 && topology?.setName) {
    return `MongoDB at ${hosts} is not of the replica set '${topology.setName}' that its URI names. If it is of none: ${AS_REPLICA_SET}`;
  }
  return `MongoDB cannot be reached at ${hosts}: ${error.message}`;
}

/**
 * Proves, at every start, that the server has real transactions and exact decimals. What a server says of itself is not
 * trusted: there are servers that accept a transaction and ignore it.
 */
export async function proveServer(store: Store): Promise<ServerFacts> {
  const hello = await store.db.admin().command({ hello: 1 });
  if (Number(hello.maxWireVersion) < WIRE_VERSION_MIN) {
    throw new UnfitServer('MongoDB is too old: version 5.0 or later is needed.');
  }
  const isSharded = hello.msg === 'isdbgrid';
  if (hello.setName === undefined && !isSharded) throw new UnfitServer(STANDALONE);
  await proveTransactions(store);
  await proveDecimals(store);
  return { isSharded };
}

export interface ServerFacts {
  /** A cluster, behind a router. */
  readonly isSharded: boolean;
}

async function proveTransactions(store: Store): Promise<void> {
  const scratch = store.db.collection<{ _id: Binary; n?: Decimal128 }>(SCRATCH);
  const id = new Binary(crypto.getRandomValues(new Uint8Array(16)), Binary.SUBTYPE_UUID);
  const deadline = Date.now() + PROOF_TIME_MAX_MS;
  try {
    await ensureScratch(store);
    await inTransaction(store, deadline, async (transaction) => {
      await scratch.insertOne({ _id: id }, transaction);
      await transaction.session.abortTransaction();
      throw new Aborted();
    }).catch((error: unknown) => {
      if (!(error instanceof Aborted)) throw error;
    });
    if ((await scratch.countDocuments({ _id: id })) !== 0) throw new UnfitServer(NO_TRANSACTIONS);
    await inTransaction(store, deadline, (transaction) => scratch.insertOne({ _id: id }, transaction));
    if ((await scratch.countDocuments({ _id: id })) !== 1) throw new UnfitServer(NO_TRANSACTIONS);
  } catch (error) {
    if (error instanceof MongoServerError && error.code === ILLEGAL_OPERATION)
      throw new UnfitServer(STANDALONE);
    throw error;
  } finally {
    await scratch.deleteOne({ _id: id }).catch(() => undefined); // A left-over does no harm.
  }
}

/** Ends a transaction that is to leave nothing behind. */
class Aborted extends Error {}

async function proveDecimals(store: Store): Promise<void> {
  const scratch = store.db.collection<{ _id: Binary; n: Decimal128 }>(SCRATCH);
  const id = new Binary(crypto.getRandomValues(new Uint8Array(16)), Binary.SUBTYPE_UUID);
  const [first, second, sum] = [
    '9999.000000000000000001',
    '0.123456789012345678',
    '9999.123456789012345679',
  ].map(parseMoney);
  if (first === undefined || second === undefined) throw new Error('the amounts of the proof are amounts');
  try {
    for (const amount of [first, second]) {
      await scratch.updateOne({ _id: id }, { $inc: { n: toDecimal(amount) } }, { upsert: true });
    }
    const found = await scratch.findOne({ _id: id });
    if (!(found?.n instanceof Decimal128) || fromDecimal(found.n) !== sum) throw new UnfitServer(NO_DECIMALS);
  } finally {
    await scratch.deleteOne({ _id: id }).catch(() => undefined); // A left-over does no harm.
  }
}

/** A collection cannot be created inside a transaction on every server that we take. */
async function ensureScratch(store: Store): Promise<void> {
  const known = await store.db.listCollections({ name: SCRATCH }, { nameOnly: true }).toArray();
  if (known.length > 0) return;
  await store.db.createCollection(SCRATCH).catch((error: unknown) => {
    if (!(error instanceof MongoServerError && error.code === NAMESPACE_EXISTS)) throw error;
  });
}

const SCRATCH = 'probe';
const WIRE_VERSION_MIN = 13;
const ILLEGAL_OPERATION = 20;
const NAMESPACE_EXISTS = 48;
/** For the proof with all its repeats, which another process that makes its collections can call for. */
const PROOF_TIME_MAX_MS = 10_000;
const INITIATE =
  'Initiate it once with\n' +
  '  mongosh --eval \'rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "127.0.0.1:27017" }] })\'';
const AS_REPLICA_SET =
  'Restart it as a replica set of one node with\n' +
  `  mongod --replSet rs0 --dbpath <its data folder>\n${INITIATE}`;
const STANDALONE = `MongoDB runs as a standalone server, which has no transactions. ${AS_REPLICA_SET}`;
const NO_TRANSACTIONS =
  'This server accepts transactions but does not keep them; a MongoDB replica set is needed.';
const NO_DECIMALS = 'This server does not add Decimal128 exactly; a MongoDB replica set is needed.';
