import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { cacheFolder } from '../../services/stack/cache-folder.js';
import { findMongod } from '../../services/stack/find-mongod.js';
import { startMongod } from '../../services/stack/mongod-process.js';

/** A mongod of a test file's own: it may be killed, stalled, and told to fail commands. */
export interface OwnMongod {
  readonly uri: string;
  readonly port: number;
  /** The driver, for looking at what is stored. It is not told to fail: fail points name the service. */
  readonly client: MongoClient;
  /** SIGKILL; gone when this resolves. */
  kill(): Promise<void>;
  /** On the same port and data. */
  restart(): Promise<void>;
  /** SIGSTOP: it holds its connections and answers nothing. */
  stall(): void;
  /** SIGCONT. */
  goOn(): void;
  /** Makes the service's commands fail; `times` absent: until `failNothing`. */
  fail(failure: CommandFailure, times?: number): Promise<void>;
  /** Makes each of the service's commands fail with the probability, until `failNothing`. */
  failSome(failure: CommandFailure, probability: number): Promise<void>;
  /** Answers how many commands the last `fail` has hit. */
  failNothing(): Promise<number>;
  /** Resolves when the last `fail` has hit so many commands; one that it makes wait counts when it begins to wait. */
  hit(times: number): Promise<void>;
  /** Ends the commands of the service that are under way, as if they had never come. */
  dropCommands(): Promise<void>;
  stop(): Promise<void>;
}

/** The data of the server's fail point `failCommand`. */
export interface CommandFailure {
  readonly failCommands: readonly string[];
  readonly namespace?: string;
  readonly errorCode?: number;
  readonly errorLabels?: readonly string[];
  /** What some errors hold beside. */
  readonly errorExtraInfo?: object;
  readonly closeConnection?: boolean;
  readonly blockConnection?: boolean;
  readonly blockTimeMS?: number;
  readonly writeConcernError?: {
    readonly code: number;
    readonly errmsg: string;
    readonly errorLabels?: readonly string[];
  };
}

type FailMode = 'off' | 'alwaysOn' | { readonly times: number } | { readonly activationProbability: number };

export async function startOwnMongod(options: { readonly replicaSet?: boolean } = {}): Promise<OwnMongod> {
  const executable = await ownMongodExecutable();
  const dataFolder = await mkdtemp(join(tmpdir(), 'experiences-mongod-'));
  const start = (port?: number) =>
    startMongod({
      ...options,
      executable,
      dataFolder,
      port,
      testCommands: true,
      transactionLifetimeSeconds: TRANSACTION_LIFETIME_SECONDS,
    });
  let process = await start();
  const { uri, port } = process;
  const client = new MongoClient(uri, { appName: 'test' });
  /** Answers how many commands the fail point has hit since the server was started. */
  const failPoint = async (mode: FailMode, data?: object) => {
    const command = { configureFailPoint: 'failCommand', mode, ...(data && { data }) };
    return Number((await client.db('admin').command(command)).count);
  };
  let hitBefore = 0;
  return {
    uri,
    port,
    client,
    async kill() {
      process.kill('SIGKILL');
      await process.exited;
    },
    async restart() {
      process = await start(port);
    },
    stall: () => process.kill('SIGSTOP'),
    goOn: () => process.kill('SIGCONT'),
    async fail(failure, times) {
      const mode = times === undefined ? 'alwaysOn' : { times };
      hitBefore = await failPoint(mode, { ...failure, appName: SERVICE_NAME });
    },
    async failSome(failure, probability) {
      const mode = { activationProbability: probability };
      hitBefore = await failPoint(mode, { ...failure, appName: SERVICE_NAME });
    },
    async failNothing() {
      return (await failPoint('off')) - hitBefore;
    },
    async hit(times) {
      const timesEntered = hitBefore + times;
      await client
        .db('admin')
        .command({ waitForFailPoint: 'failCommand', timesEntered, maxTimeMS: HIT_WAIT_MAX_MS });
    },
    async dropCommands() {
      const admin = client.db('admin');
      const pipeline = [
        { $currentOp: { allUsers: true } },
        { $match: { appName: SERVICE_NAME, active: true, opid: { $exists: true } } },
      ];
      for (const { opid } of await admin.aggregate(pipeline).toArray()) {
        await admin.command({ killOp: 1, op: opid });
      }
    },
    async stop() {
      await client.close();
      process.kill('SIGKILL'); // What it holds is thrown away.
      await process.exited;
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

/** A server that somebody else runs is never one to kill, whatever MONGODB_URI says. */
export async function ownMongodExecutable(): Promise<string> {
  const { MONGODB_URI: _uri, ...environment } = process.env;
  const cache = cacheFolder(environment);
  const found = await findMongod({ environment, cache, log: () => undefined });
  if (found.kind === 'address') throw new Error('without MONGODB_URI there is no address');
  return found.path;
}

/** The transaction of a killed service holds what it has written for so long; by default for a minute and more. */
const TRANSACTION_LIFETIME_SECONDS = 3;
const HIT_WAIT_MAX_MS = 20_000;
/** How the service calls itself to the server. */
const SERVICE_NAME = 'experiences';
