import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.js';
import { findMongod } from './find-mongod.js';
import { findTemporal } from './find-temporal.js';
import { type MongodOptions, type MongodProcess, startMongod } from './mongod-process.js';
import type { LineLog } from './progress.js';
import { startTemporal, type TemporalProcess } from './temporal-process.js';

export interface StackOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly log: LineLog;
  /** Keeps the data for the next start; absent means a temporary folder that goes with the stack. */
  readonly dataFolder?: string | undefined;
  readonly mongod?: Pick<MongodOptions, 'cacheSizeGb' | 'testCommands' | 'extraArguments'>;
  /** A Temporal namespace beside `default`. */
  readonly namespace?: string | undefined;
}

export interface Stack {
  /** Where its data is, and ours may be; removed at the end when it is temporary. */
  readonly folder: string;
  readonly mongodbUri: string;
  readonly temporalAddress: string;
  /** Absent when MONGODB_URI named a server that somebody else runs. */
  readonly mongod: MongodProcess | undefined;
  /** Absent when TEMPORAL_ADDRESS named a server that somebody else runs. */
  readonly temporal: TemporalProcess | undefined;
  /** Ends Temporal, then MongoDB; takes no longer than the graces of the two, and is safe to call again. */
  stop(): Promise<void>;
}

/** Finds and starts MongoDB and Temporal at the same time. When one cannot be had the other is ended again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const temporary = options.dataFolder === undefined;
  const folder = options.dataFolder ?? (await mkdtemp(join(tmpdir(), 'experiences-')));
  const [mongodb, temporal] = await Promise.allSettled([
    openMongodb(options, join(folder, 'mongodb')),
    // What is not kept need not be written: without a file Temporal holds its runs in memory.
    openTemporal(options, temporary ? undefined : join(folder, 'temporal', 'temporal.db')),
  ]);
  const mongod = mongodb.status === 'fulfilled' ? mongodb.value.process : undefined;
  const temporalServer = temporal.status === 'fulfilled' ? temporal.value.process : undefined;

  let stopped: Promise<void> | undefined;
  const stopAll = async () => {
    for (const server of [temporalServer, mongod]) {
      // An orderly end takes each a second and saves what is removed right after.
      if (temporary) server?.kill('SIGKILL');
      else await server?.stop();
      await server?.exited;
    }
    if (temporary) await rm(folder, { recursive: true, force: true });
  };
  const stop = () => {
    stopped ??= stopAll();
    return stopped;
  };

  if (mongodb.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    const reasons = [mongodb, temporal].flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    const text = reasons.map((reason) => (reason instanceof Error ? reason.message : String(reason)));
    throw new AggregateError(reasons, text.join('\n'));
  }
  return {
    folder,
    mongodbUri: mongodb.value.address,
    temporalAddress: temporal.value.address,
    mongod,
    temporal: temporalServer,
    stop,
  };
}

async function openMongodb(options: StackOptions, dataFolder: string) {
  const { environment, log } = options;
  const found = await findMongod({ environment, log, cache: cacheFolder(environment) });
  if (found.kind === 'address') return { address: found.address, process: undefined };
  const server = await startMongod({
    ...options.mongod,
    executable: found.path,
    dataFolder,
    environment,
    log,
  });
  log(`MongoDB: listening on 127.0.0.1:${server.port}`);
  return { address: server.uri, process: server };
}

async function openTemporal(options: StackOptions, databaseFile: string | undefined) {
  const { environment, log, namespace } = options;
  const found = await findTemporal({ environment, log, cache: cacheFolder(environment) });
  if (found.kind === 'address') return { address: found.address, process: undefined };
  const server = await startTemporal({ executable: found.path, environment, databaseFile, namespace, log });
  log(`Temporal: listening on ${server.address}`);
  return { address: server.address, process: server };
}
