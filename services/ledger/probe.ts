import { Binary, Decimal128, MongoServerError } from 'mongodb';
import { parseMoney } from '../domain/money.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { type Store, TRANSACTION_OPTIONS } from './store.js';

/** That the server cannot do what the promises rest on; the message tells the command that mends it. */
export class UnfitServer extends Error {
  override readonly name = 'UnfitServer';
}

/**
 * Proves, at every start, that the server has real transactions and exact decimals. What a server says of itself is not
 * trusted: there are servers that accept a transaction and ignore it.
 */
export async function proveServer(store: Store): Promise<void> {
  const hello = await store.db.admin().command({ hello: 1 });
  if (Number(hello.maxWireVersion) < WIRE_VERSION_MIN) {
    throw new UnfitServer('MongoDB is too old: version 4.4 or later is needed.');
  }
  if (hello.setName === undefined && hello.msg !== 'isdbgrid') throw new UnfitServer(STANDALONE);
  await proveTransactions(store);
  await proveDecimals(store);
}

async function proveTransactions(store: Store): Promise<void> {
  const scratch = store.db.collection<{ _id: Binary; n?: Decimal128 }>(SCRATCH);
  const id = new Binary(crypto.getRandomValues(new Uint8Array(16)), Binary.SUBTYPE_UUID);
  const session = store.client.startSession();
  try {
    await ensureScratch(store);
    session.startTransaction(TRANSACTION_OPTIONS);
    await scratch.insertOne({ _id: id }, { session });
    await session.abortTransaction();
    if ((await scratch.countDocuments({ _id: id })) !== 0) throw new UnfitServer(NO_TRANSACTIONS);
    session.startTransaction(TRANSACTION_OPTIONS);
    await scratch.insertOne({ _id: id }, { session });
    await session.commitTransaction();
    if ((await scratch.countDocuments({ _id: id })) !== 1) throw new UnfitServer(NO_TRANSACTIONS);
  } catch (error) {
    if (error instanceof MongoServerError && error.code === ILLEGAL_OPERATION)
      throw new UnfitServer(STANDALONE);
    throw error;
  } finally {
    await session.endSession();
    await scratch.deleteOne({ _id: id }).catch(() => undefined); // A left-over does no harm.
  }
}

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
const WIRE_VERSION_MIN = 9;
const ILLEGAL_OPERATION = 20;
const NAMESPACE_EXISTS = 48;
const STANDALONE =
  'MongoDB runs as a standalone server, which has no transactions. Restart it as a replica set of one node with\n' +
  '  mongod --replSet rs0 --dbpath <its data folder>\n' +
  'and initiate it once with\n' +
  '  mongosh --eval \'rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "127.0.0.1:27017" }] })\'';
const NO_TRANSACTIONS =
  'This server accepts transactions but does not keep them; a MongoDB replica set is needed.';
const NO_DECIMALS = 'This server does not add Decimal128 exactly; a MongoDB replica set is needed.';
