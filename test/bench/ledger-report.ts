import Table from 'cli-table3';
import type { LedgerMeasurement } from './ledger-suite.js';
import { type LegFigures, rounded } from './leg.js';
import { median, type Ratio, ratioOfRounds } from './statistics.js';
import { PLAIN, type Target, targetOf, targetsJson, targetTable } from './targets.js';

/** What the ledger suite says to programs, one object. */
export function ledgerJson(measured: LedgerMeasurement) {
  const { quick, machine, sizes, diskIsMemory, rawDocumentsSame, legs, fullLoad, costReads, verify } =
    measured;
  const ratios = ratiosOf(measured);
  return {
    suite: 'ledger',
    quick,
    ...machine,
    ratios: Object.fromEntries(Object.entries(ratios).map(([name, { ratio }]) => [name, rounded(ratio)])),
    ratiosOfRounds: Object.fromEntries(
      Object.entries(ratios).map(([name, { least, most }]) => [
        name,
        { least: rounded(least), most: rounded(most) },
      ]),
    ),
    cpuRatios: cpuRatiosOf(legs),
    distributionP99Ms: costReads.distributionP99Ms,
    memoryMb: fullLoad.peakMemoryMb,
    verify,
    targets: targetsJson(targetsOf(measured)),
    sizes,
    diskIsMemory,
    rawDocumentsSame,
    idle: {
      recordUsageP50Ms: rounded(median(measured.idle.recordUsageP50MsOfRounds)),
      driverP50Ms: rounded(median(measured.idle.driverP50MsOfRounds)),
    },
    fullLoad,
    costReads,
    legs,
  };
}

export type LedgerJson = ReturnType<typeof ledgerJson>;

/** The figures that may be quoted: each is a ratio within this run. */
function ratiosOf({ rounds, idle, costReads }: LedgerMeasurement): Readonly<Record<RatioName, Ratio>> {
  const rates = (name: string) => (rounds[name] ?? []).map(({ eventsPerSecond }) => eventsPerSecond);
  const { costReadRatio } = costReads;
  return {
    batchToRawInsert: ratioOfRounds(rates('batch1000'), rates('rawInsert')),
    streamToRawInsert: ratioOfRounds(rates('stream'), rates('rawInsert')),
    unaryToEmptyHandler: ratioOfRounds(rates('unary64'), rates('emptyUnary64')),
    costReadAt1MTo1K: { ratio: costReadRatio, least: costReadRatio, most: costReadRatio },
    idleAckToDriver: ratioOfRounds(idle.recordUsageP50MsOfRounds, idle.driverP50MsOfRounds),
  };
}

/**
 * What the driver alone and mongod use of the processor for an event, over what the service and mongod use. The same as
 * the ratios of rates where all cores are ours, and about the same where others take their part of them.
 */
function cpuRatiosOf(legs: LedgerMeasurement['legs']): Readonly<Record<string, number | null>> {
  const micros = (name: string): number => {
    const leg = legs[name];
    const own = name === 'rawInsert' ? leg?.loadCpuMicrosPerEvent : leg?.serverCpuMicrosPerEvent;
    return (own ?? Number.NaN) + (leg?.mongodCpuMicrosPerEvent ?? Number.NaN);
  };
  return {
    batchToRawInsert: rounded(micros('rawInsert') / micros('batch1000')),
    streamToRawInsert: rounded(micros('rawInsert') / micros('stream')),
  };
}

export type RatioName =
  | 'batchToRawInsert'
  | 'streamToRawInsert'
  | 'unaryToEmptyHandler'
  | 'costReadAt1MTo1K'
  | 'idleAckToDriver';

function targetsOf(measured: LedgerMeasurement): readonly Target[] {
  const ratios = ratiosOf(measured);
  const memory = measured.fullLoad.peakMemoryMb ?? Number.NaN;
  return [
    targetOf('batchToRawInsert', ratios.batchToRawInsert, { atLeast: 0.35, aim: 0.5 }),
    targetOf('streamToRawInsert', ratios.streamToRawInsert, { atLeast: 0.35, aim: 0.5 }),
    targetOf('unaryToEmptyHandler', ratios.unaryToEmptyHandler, { atLeast: 0.35, aim: 0.6 }),
    targetOf('costReadAt1MTo1K', ratios.costReadAt1MTo1K, { atMost: 1.5 }),
    targetOf('idleAckToDriver', ratios.idleAckToDriver, { atMost: 1.5, aim: 1.2 }),
    targetOf('memoryMb', { ratio: memory, least: memory, most: memory }, { atMost: 400 }),
  ];
}

/** The same for people. */
export function ledgerText(measured: LedgerMeasurement): string {
  const { machine, sizes, legs, fullLoad, costReads, idle, verify, quick } = measured;
  const lines = [
    `ledger${quick ? ', quick' : ''}: ${machine.date}, Node ${machine.node}, mongod ${machine.mongod} with ${machine.mongodCacheGb} GB of cache, ` +
      `${machine.cores} cores (${machine.processor}), ${machine.system}`,
    `${sizes.rounds} rounds, all loads in turn, ${sizes.legSeconds} s each; medians of the rounds. Only ratios within a run mean anything elsewhere.`,
    targetTable(targetsOf(measured)),
    legTable(legs),
    `the same of CPU time instead of rates, which others on the machine disturb less: ${Object.entries(
      cpuRatiosOf(legs),
    )
      .map(([name, ratio]) => `${name} ${ratio ?? '-'}`)
      .join(', ')}`,
    `idle: RecordUsage p50 ${ms(median(idle.recordUsageP50MsOfRounds))}, the driver alone ${ms(median(idle.driverP50MsOfRounds))}`,
    `cost of one experience, p50/p99: of ${count(costReads.largeEvents)} events ${ms(costReads.costOfLargeP50Ms)} / ${ms(costReads.costOfLargeP99Ms)}, ` +
      `of ${count(costReads.smallEvents)} ${ms(costReads.costOfSmallP50Ms)} / ${ms(costReads.costOfSmallP99Ms)}`,
    `with ${count(costReads.storedExperiences)} experiences and ${count(costReads.storedEvents)} events stored and ${count(costReads.recordedPerSecondMeanwhile)} events/s recorded, p50/p99 of ${costReads.readsOfEach} reads each: ` +
      `GetCostDistribution ${ms(costReads.distributionP50Ms)} / ${ms(costReads.distributionP99Ms)}, QueryCosts ${ms(costReads.queryCostsP50Ms)} / ${ms(costReads.queryCostsP99Ms)}, ` +
      `CompareVersions ${ms(costReads.compareVersionsP50Ms)} / ${ms(costReads.compareVersionsP99Ms)}`,
    `memory of the service: ${mb(fullLoad.memoryAtStartMb)} before and ${mb(fullLoad.memoryAtEndMb)} after ${fullLoad.seconds} s of full load at ${count(fullLoad.eventsPerSecond)} events/s, at most ${mb(fullLoad.peakMemoryMb)}`,
    verifyLine(verify),
    ...(measured.rawDocumentsSame
      ? []
      : ['the documents of the driver alone were NOT those of the service: the ratios to it say nothing']),
  ];
  return lines.join('\n\n');
}

function verifyLine({
  balanced,
  events,
  duplicates,
  differences,
  byService,
}: LedgerMeasurement['verify']): string {
  const own =
    byService === null
      ? ''
      : `; the service's own check found ${byService.differences} differences in ${byService.seconds} s`;
  return balanced
    ? `verify: the books hold exactly the ${count(events)} acknowledged events (${count(duplicates)} sent twice) and what they cost${own}`
    : `verify: THE BOOKS DIFFER: ${differences.join('; ')}${own}`;
}

function legTable(legs: LedgerMeasurement['legs']): string {
  const table = new Table({
    head: [
      'load',
      'events/s',
      'ack p50/p99 ms',
      'CPU µs an event: server/mongod/load',
      'cores: server/mongod/load',
    ],
    style: PLAIN,
  });
  for (const leg of Object.values(legs)) {
    const { serverCpuMicrosPerEvent, mongodCpuMicrosPerEvent, loadCpuMicrosPerEvent } = leg;
    table.push([
      leg.title,
      leg.eventsPerSecond.toLocaleString('en') + notes(leg),
      `${leg.ackP50Ms} / ${leg.ackP99Ms}`,
      [serverCpuMicrosPerEvent, mongodCpuMicrosPerEvent, loadCpuMicrosPerEvent].map(figure).join(' / '),
      [leg.serverCpuShare, leg.mongodCpuShare, leg.loadCpuShare].map(figure).join(' / '),
    ]);
  }
  return table.toString();
}

function notes({ loadIsTheLimit, repeatedMessages }: LegFigures): string {
  return [
    ...(loadIsTheLimit ? [' (the load generator is the limit)'] : []),
    ...(repeatedMessages > 0 ? [` (${repeatedMessages} messages repeated)`] : []),
  ].join('');
}

function figure(value: number | null): string {
  return value === null ? '-' : String(value);
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function ms(value: number | null): string {
  return value === null ? '-' : `${rounded(value) ?? '-'} ms`;
}

function mb(value: number | null): string {
  return value === null ? '-' : `${Math.round(value)} MB`;
}
