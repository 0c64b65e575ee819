import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Ledger } from '../../services/ledger/ledger.js';
import { loadCatalogue } from '../../services/pricing/catalogue.js';
import { cacheFolder, withPartialFolder } from '../../services/stack/cache-folder.js';
import type { MongodProcess } from '../../services/stack/mongod-process.js';
import type { LineLog } from '../../services/stack/progress.js';
import { APPLICATION } from './bench-documents.js';
import { BENCH_TYPE } from './bench-record.js';
import {
  type BenchServer,
  benchMongodExecutable,
  createBenchType,
  type Machine,
  machineOf,
  startBenchMongod,
  startBenchService,
  startEmptyServer,
} from './bench-stack.js';
import { buildCostData } from './cost-data.js';
import { type CostReadFigures, measureCostReads } from './cost-reads.js';
import { COST_DATABASE, keptCostData } from './kept-cost-data.js';
import { ledgerLegs } from './ledger-legs.js';
import { FULL, type LedgerSizes, QUICK } from './ledger-sizes.js';
import { figuresOf, type Leg, type LegFigures, type Round, rounded, runRound } from './leg.js';
import { Loader } from './loader.js';
import { processUsage } from './process-usage.js';
import { sameDocuments } from './same-documents.js';
import { type ServiceVerify, serviceVerify } from './service-verify.js';
import { percentile } from './statistics.js';
import { differences, storedBooks } from './stored-books.js';

/** Everything that was measured, before anything is made of it. */
export interface LedgerMeasurement {
  readonly quick: boolean;
  readonly machine: Machine;
  readonly sizes: LedgerSizes;
  /** Whether the store's folder is in memory: then nothing here says anything of a disk. */
  readonly diskIsMemory: boolean;
  /** Whether the driver alone was given the very documents that the service writes. */
  readonly rawDocumentsSame: boolean;
  readonly rounds: Readonly<Record<string, readonly Round[]>>;
  readonly legs: Readonly<Record<string, LegFigures & { readonly title: string }>>;
  readonly idle: IdleFigures;
  readonly fullLoad: FullLoadFigures;
  readonly costReads: CostReadFigures;
  readonly verify: VerifyFigures;
}

export interface IdleFigures {
  readonly recordUsageP50MsOfRounds: readonly number[];
  readonly driverP50MsOfRounds: readonly number[];
}

export interface FullLoadFigures {
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly memoryAtStartMb: number | null;
  readonly memoryAtEndMb: number | null;
  /** Of the service since its start, all loads included. */
  readonly peakMemoryMb: number | null;
}

export interface VerifyFigures {
  readonly balanced: boolean;
  readonly events: number;
  readonly duplicates: number;
  /** Decimal, exact. */
  readonly costE18: string;
  readonly differences: readonly string[];
  /** What the service's own check found; null: it has none. */
  readonly byService: ServiceVerify | null;
}

export async function measureLedger(options: {
  readonly quick: boolean;
  readonly log: LineLog;
}): Promise<LedgerMeasurement> {
  const { quick, log } = options;
  const sizes = quick ? QUICK : FULL;
  const cache = cacheFolder(process.env);
  const executable = await benchMongodExecutable(log);
  return withPartialFolder(cache, async (folder) => {
    const mongod = await startBenchMongod(executable, join(folder, 'mongodb'));
    try {
      const machine = await machineOf(mongod);
      const { type } = await statfs(folder);
      const diskIsMemory = type === TMPFS_MAGIC;
      if (diskIsMemory) log('the cache folder is in memory; set XDG_CACHE_HOME to a folder on a disk');
      const recording = await measureRecording(mongod, sizes, log);
      log('reading costs');
      const costReads = quick
        ? await builtAndRead(mongod, sizes, log)
        : await keptAndRead(mongod, { cache, executable, machine, sizes, log });
      return { quick, machine, sizes, diskIsMemory, ...recording, costReads };
    } finally {
      mongod.kill('SIGKILL'); // What it holds is thrown away.
      await mongod.exited;
    }
  });
}

async function builtAndRead(mongod: MongodProcess, sizes: LedgerSizes, log: LineLog) {
  await buildCostData(mongod.uri, COST_DATABASE, sizes, log);
  return measureCostReads(mongod, sizes);
}

async function keptAndRead(
  mongod: MongodProcess,
  options: {
    readonly cache: string;
    readonly executable: string;
    readonly machine: Machine;
    readonly sizes: LedgerSizes;
    readonly log: LineLog;
  },
): Promise<CostReadFigures> {
  await mongod.stop(); // Two servers would share the memory.
  const { largeEvents, smallEvents, experiences } = options.sizes;
  const dataFolder = await keptCostData({
    ...options,
    mongodVersion: options.machine.mongod,
    sizes: { largeEvents, smallEvents, experiences },
  });
  const kept = await startBenchMongod(options.executable, dataFolder);
  try {
    return await measureCostReads(kept, options.sizes);
  } finally {
    await kept.stop();
  }
}

async function measureRecording(mongod: MongodProcess, sizes: LedgerSizes, log: LineLog) {
  const { uri } = mongod;
  const [service, empty, loader] = await Promise.all([
    startBenchService({ mongodbUri: uri, databaseName: DATABASE }),
    startEmptyServer(),
    Loader.start(),
    prepareDriverDatabase(uri),
  ]);
  try {
    await createBenchType(service.address);
    const compared = await sameDocuments(service.address, uri, DATABASE, DRIVER_DATABASE);
    const rawDocumentsSame = compared.isSame;
    if (!rawDocumentsSame) log('the documents of the driver alone are not those of the service');
    const legs = ledgerLegs({ uri, driverDatabase: DRIVER_DATABASE, service, empty, sizes });
    const books = new AcknowledgedBooks();
    books.add(compared, true);
    await warmUp(legs, loader, mongod, sizes, books);
    const rounds: Record<string, Round[]> = Object.fromEntries(legs.map(({ name }) => [name, []]));
    const idle = { recordUsageP50MsOfRounds: [] as number[], driverP50MsOfRounds: [] as number[] };
    for (let round = 1; round <= sizes.rounds; round += 1) {
      log(`round ${round} of ${sizes.rounds}`);
      await measureIdle(loader, service, uri, sizes, idle, books);
      for (const leg of legs) {
        if (!leg.isCompared && round > sizes.otherRounds) continue;
        const measured = await runRound(leg, loader, mongod);
        rounds[leg.name]?.push(measured);
        books.add(measured, leg.server === service);
      }
    }
    log(`full load for ${sizes.fullLoadSeconds} s`);
    const fullLoad = await measureFullLoad(legs, loader, mongod, service, sizes, books);
    log('comparing the books with what was acknowledged');
    const verify = await books.compare(uri, service.address);
    const named = legs.map(({ name, title }) => [name, { title, ...figuresOf(rounds[name] ?? []) }] as const);
    return { rawDocumentsSame, rounds, legs: Object.fromEntries(named), idle, fullLoad, verify };
  } finally {
    loader.stop();
    await Promise.all([service.stop(), empty.stop()]);
  }
}

/** The same collections, indexes, types and prices as the service has; only the driver writes there. */
async function prepareDriverDatabase(uri: string): Promise<void> {
  const catalogue = loadCatalogue();
  const ledger = await Ledger.open({
    uri,
    databaseName: DRIVER_DATABASE,
    catalogue,
    applications: [APPLICATION],
  });
  const content = {
    description: 'Records of the benchmark',
    workflowType: undefined,
    taskQueue: undefined,
    limitConfig: undefined,
    loggingDisabled: false,
  };
  await ledger.types.create(APPLICATION, BENCH_TYPE, content, Date.now() + 10_000);
  await ledger.close();
}

/** Compilers, caches and connections first, of each kind of load; what is recorded is in the books all the same. */
async function warmUp(
  legs: readonly Leg[],
  loader: Loader,
  mongod: MongodProcess,
  sizes: LedgerSizes,
  books: AcknowledgedBooks,
): Promise<void> {
  const known = new Set<string>();
  for (const leg of legs) {
    const work = leg.work();
    if (work.kind !== 'record' && work.kind !== 'insert') continue;
    const kind = work.kind === 'record' ? `${work.address} ${work.shape.call}` : work.kind;
    if (known.has(kind)) continue;
    known.add(kind);
    const shorter = { ...work, seconds: sizes.warmUpSeconds };
    books.add(await runRound({ ...leg, work: () => shorter }, loader, mongod), !leg.name.startsWith('empty'));
  }
}

async function measureIdle(
  loader: Loader,
  service: BenchServer,
  uri: string,
  sizes: LedgerSizes,
  idle: { recordUsageP50MsOfRounds: number[]; driverP50MsOfRounds: number[] },
  books: AcknowledgedBooks,
): Promise<void> {
  const { address } = service;
  await loader.prepare({ kind: 'idle', address, uri, databaseName: DRIVER_DATABASE, pairs: sizes.idlePairs });
  const result = await loader.run();
  idle.recordUsageP50MsOfRounds.push(percentile(result.named?.service ?? [], 50));
  idle.driverP50MsOfRounds.push(percentile(result.named?.driver ?? [], 50));
  books.add(result, true);
}

async function measureFullLoad(
  legs: readonly Leg[],
  loader: Loader,
  mongod: MongodProcess,
  service: BenchServer,
  sizes: LedgerSizes,
  books: AcknowledgedBooks,
): Promise<FullLoadFigures> {
  const leg = legs.find(({ name }) => name === 'batch1000');
  const work = leg?.work();
  if (leg === undefined || work?.kind !== 'record') throw new Error('the suite has batches of 1,000');
  const seconds = sizes.fullLoadSeconds;
  const before = processUsage(service.pid).memoryMb;
  const round = await runRound({ ...leg, work: () => ({ ...work, seconds }) }, loader, mongod);
  books.add(round, true);
  const after = processUsage(service.pid);
  return {
    seconds,
    eventsPerSecond: Math.round(round.eventsPerSecond),
    memoryAtStartMb: rounded(before),
    memoryAtEndMb: rounded(after.memoryMb),
    peakMemoryMb: rounded(after.peakMemoryMb),
  };
}

/** What the service has acknowledged, to be found in its books. */
class AcknowledgedBooks {
  #count = BigInt(0);
  #cost = BigInt(0);
  #duplicates = 0;

  add(result: Pick<Round, 'freshRecords' | 'freshCost' | 'duplicates'>, isService: boolean): void {
    if (!isService) return;
    this.#count += BigInt(result.freshRecords);
    this.#cost += result.freshCost;
    this.#duplicates += result.duplicates;
  }

  async compare(uri: string, address: string): Promise<VerifyFigures> {
    const acknowledged = { count: this.#count, cost: this.#cost };
    const found = differences(await storedBooks(uri, DATABASE), acknowledged);
    const byService = (await serviceVerify(address)) ?? null;
    return {
      balanced: found.length === 0 && (byService?.differences ?? 0) === 0,
      events: Number(this.#count),
      duplicates: this.#duplicates,
      costE18: String(this.#cost),
      differences: found,
      byService,
    };
  }
}

const DATABASE = 'bench';
const DRIVER_DATABASE = 'bench_driver';
/** From statfs(2). */
const TMPFS_MAGIC = 0x01021994;
