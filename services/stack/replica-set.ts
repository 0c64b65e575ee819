import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, type Document, MongoClient, MongoServerError } from 'mongodb';

export const REPLICA_SET_NAME = 'rs0';

/** With the default of 10 s a restarted single node would wait that long before it elects itself. */
const ELECTION_TIMEOUT_MS = 500;
const POLL_MS = 20;
const SERVER_SELECTION_TIMEOUT_MS = 2_000;

/** Server error codes, from the server's error_codes.yml. */
const NOT_YET_INITIALIZED = 94;

export interface WritableOptions {
  readonly port: number;
  /** A standalone server has nothing to initiate. */
  readonly replicaSet: boolean;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/**
 * Brings the server on the loopback port to where it takes writes: initiates the replica set of one node on a fresh data
 * folder, and on a folder that was served on another port before gives the node its new address. Every failed step is
 * tried again until the deadline, because a starting server refuses commands in many ways.
 */
export async function waitUntilWritable(options: WritableOptions): Promise<void> {
  const client = new MongoClient(`mongodb://127.0.0.1:${options.port}`, {
    directConnection: true,
    serverSelectionTimeoutMS: SERVER_SELECTION_TIMEOUT_MS,
  });
  const admin = client.db('admin');
  const giveUpAt = performance.now() + options.deadlineMs;
  let problem: unknown = 'it was never a writable primary';
  try {
    for (;;) {
      try {
        if (options.replicaSet) await ensureMember(admin, `127.0.0.1:${options.port}`);
        const hello = await admin.command({ hello: 1 });
        if (hello.isWritablePrimary === true) return;
      } catch (error) {
        problem = error;
      }
      if (performance.now() > giveUpAt) {
        throw new Error(`MongoDB does not take writes after ${options.deadlineMs} ms`, { cause: problem });
      }
      await sleep(POLL_MS, undefined, { signal: options.signal });
    }
  } finally {
    await client.close();
  }
}

/** Makes the host the one member of the replica set. Throws while the server is not yet able to do or say so. */
async function ensureMember(admin: Db, host: string): Promise<void> {
  const config = await replicaSetConfig(admin);
  if (config === undefined) {
    const settings = { electionTimeoutMillis: ELECTION_TIMEOUT_MS };
    const initial = { _id: REPLICA_SET_NAME, members: [{ _id: 0, host }], settings };
    await admin.command({ replSetInitiate: initial });
    return;
  }
  const members: unknown = config.members;
  const member: unknown = Array.isArray(members) && members.length === 1 ? members[0] : undefined;
  if (!isDocument(member)) throw new Error('the data folder belongs to a replica set of more than one node');
  if (member.host === host) return;
  // Force, because a node that does not find itself in the configuration can be no primary.
  const moved = { ...config, version: Number(config.version) + 1, members: [{ ...member, host }] };
  await admin.command({ replSetReconfig: moved, force: true });
}

async function replicaSetConfig(admin: Db): Promise<Document | undefined> {
  try {
    const answer = await admin.command({ replSetGetConfig: 1 });
    return isDocument(answer.config) ? answer.config : undefined;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === NOT_YET_INITIALIZED) return undefined;
    throw error;
  }
}

function isDocument(value: unknown): value is Document {
  return typeof value === 'object' && value !== null;
}
