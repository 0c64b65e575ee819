import { MongoClient } from 'mongodb';
import { contract } from '../../services/contract/contract.js';
import type { MongodProcess } from '../../services/stack/mongod-process.js';
import { BENCH_TYPE, EVENTS_OF_EXPERIENCE } from './bench-record.js';
import { type BenchServer, startBenchService } from './bench-stack.js';
import { DAY_MS, DAYS, LARGE_EXPERIENCE, SMALL_EXPERIENCE } from './cost-data.js';
import { COST_DATABASE } from './kept-cost-data.js';
import type { LedgerSizes } from './ledger-sizes.js';
import { rounded } from './leg.js';
import { Loader } from './loader.js';
import type { ReadCall } from './read-load.js';
import { median, percentile } from './statistics.js';

/** How long it takes to ask what something has cost. */
export interface CostReadFigures {
  /** The median of the ratios of several runs of reads in turn. */
  readonly costReadRatio: number;
  readonly costOfLargeP50Ms: number | null;
  readonly costOfLargeP99Ms: number | null;
  readonly costOfSmallP50Ms: number | null;
  readonly costOfSmallP99Ms: number | null;
  readonly largeEvents: number;
  readonly smallEvents: number;
  /** While events are recorded. */
  readonly distributionP50Ms: number | null;
  readonly distributionP99Ms: number | null;
  readonly queryCostsP50Ms: number | null;
  readonly queryCostsP99Ms: number | null;
  readonly compareVersionsP50Ms: number | null;
  readonly compareVersionsP99Ms: number | null;
  readonly readsOfEach: number;
  readonly storedEvents: number;
  readonly storedExperiences: number;
  readonly recordedPerSecondMeanwhile: number;
  readonly recordAckP99MsMeanwhile: number | null;
}

/** On a database that {@link COST_DATABASE} was built in. */
export async function measureCostReads(mongod: MongodProcess, sizes: LedgerSizes): Promise<CostReadFigures> {
  const [service, reader, recorder] = await Promise.all([
    startBenchService({ mongodbUri: mongod.uri, databaseName: COST_DATABASE }),
    Loader.start(),
    Loader.start(),
  ]);
  try {
    const stored = await storedCounts(mongod);
    const costs = await readCostsInTurn(reader, service, sizes);
    const queries = await readWhileRecording(reader, recorder, service, sizes);
    const { largeEvents, smallEvents } = sizes;
    return { ...costs, largeEvents, smallEvents, ...queries, ...stored };
  } finally {
    reader.stop();
    recorder.stop();
    await service.stop();
  }
}

async function readCostsInTurn(reader: Loader, service: BenchServer, sizes: LedgerSizes) {
  const { GetExperienceCost } = contract.CostService.service;
  const calls = [
    { name: 'large', id: LARGE_EXPERIENCE },
    { name: 'small', id: SMALL_EXPERIENCE },
  ].map(({ name, id }) => ({
    name,
    path: GetExperienceCost.path,
    bytes: GetExperienceCost.requestSerialize({ experienceId: id }),
  }));
  const ratios: number[] = [];
  const all = { large: [] as number[], small: [] as number[] };
  const rounds = Math.ceil(sizes.costReads / COST_READ_RUNS);
  for (let run = 0; run < COST_READ_RUNS; run += 1) {
    const work = { kind: 'read', address: service.address, calls, rounds, secondsMax: READS_SECONDS_MAX };
    await reader.prepare({ ...work, kind: 'read' });
    const { named } = await reader.run();
    const [large, small] = [named?.large ?? [], named?.small ?? []];
    ratios.push(percentile(large, 99) / percentile(small, 99));
    all.large.push(...large);
    all.small.push(...small);
  }
  return {
    costReadRatio: median(ratios),
    costOfLargeP50Ms: rounded(percentile(all.large, 50)),
    costOfLargeP99Ms: rounded(percentile(all.large, 99)),
    costOfSmallP50Ms: rounded(percentile(all.small, 50)),
    costOfSmallP99Ms: rounded(percentile(all.small, 99)),
  };
}

async function readWhileRecording(
  reader: Loader,
  recorder: Loader,
  service: BenchServer,
  sizes: LedgerSizes,
) {
  await recorder.prepare({
    kind: 'record',
    address: service.address,
    shape: {
      call: 'batch',
      records: RECORDS_OF_MESSAGE,
      eventsOfExperience: EVENTS_OF_EXPERIENCE,
      resentOfTen: 0,
    },
    inFlight: RECORDING_IN_FLIGHT,
    connections: 1,
    seconds: sizes.distributionSeconds,
    messagesPerSecond: sizes.eventsPerSecond / RECORDS_OF_MESSAGE,
  });
  await reader.prepare({
    kind: 'read',
    address: service.address,
    calls: queryCalls(),
    rounds: Number.MAX_SAFE_INTEGER,
    secondsMax: sizes.distributionSeconds,
  });
  const [recorded, { named = {} }] = await Promise.all([recorder.run(), reader.run()]);
  const at = (name: string, percent: number) => rounded(percentile(named[name] ?? [], percent));
  return {
    distributionP50Ms: at('distribution', 50),
    distributionP99Ms: at('distribution', 99),
    queryCostsP50Ms: at('queryCosts', 50),
    queryCostsP99Ms: at('queryCosts', 99),
    compareVersionsP50Ms: at('compareVersions', 50),
    compareVersionsP99Ms: at('compareVersions', 99),
    readsOfEach: named.distribution?.length ?? 0,
    recordedPerSecondMeanwhile: Math.round((recorded.events / recorded.elapsedMs) * 1_000),
    recordAckP99MsMeanwhile: rounded(percentile(recorded.latenciesMs, 99)),
  };
}

/** The distribution of a version, thirty days by day and model, and both versions against each other. */
function queryCalls(): readonly ReadCall[] {
  const { GetCostDistribution, QueryCosts, CompareVersions } = contract.CostService.service;
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const time = (timeMs: number) => ({ seconds: String(timeMs / 1_000), nanos: 0 });
  return [
    {
      name: 'distribution',
      path: GetCostDistribution.path,
      bytes: GetCostDistribution.requestSerialize({ experienceType: BENCH_TYPE, experienceVersion: 2 }),
    },
    {
      name: 'queryCosts',
      path: QueryCosts.path,
      bytes: QueryCosts.requestSerialize({
        startTime: time(hour - DAYS * DAY_MS),
        endTime: time(hour + HOUR_MS),
        groupBy: ['COST_DIMENSION_MODEL'],
        timeBucket: 'TIME_BUCKET_DAY',
      }),
    },
    {
      name: 'compareVersions',
      path: CompareVersions.path,
      bytes: CompareVersions.requestSerialize({
        experienceType: BENCH_TYPE,
        firstVersion: 1,
        secondVersion: 2,
      }),
    },
  ];
}

async function storedCounts(mongod: Pick<MongodProcess, 'uri'>) {
  const client = new MongoClient(mongod.uri);
  try {
    const db = client.db(COST_DATABASE);
    return {
      storedEvents: await db.collection('events').estimatedDocumentCount(),
      storedExperiences: await db.collection('experiences').estimatedDocumentCount(),
    };
  } finally {
    await client.close();
  }
}

const COST_READ_RUNS = 5;
const READS_SECONDS_MAX = 30;
const RECORDS_OF_MESSAGE = 10;
const RECORDING_IN_FLIGHT = 32;
const HOUR_MS = 3_600_000;
