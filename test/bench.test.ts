import { expect, test } from 'vitest';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { answerCounts } from './bench/answer-counts.js';
import { benchRecord } from './bench/bench-record.js';
import { selfTimes } from './bench/cpu-profile.js';
import { criticalPath } from './bench/critical-path.js';
import { gatewayJson, gatewayText } from './bench/gateway-report.js';
import { QUICK as QUICK_GATEWAY } from './bench/gateway-sizes.js';
import type { CallRound, GatewayMeasurement } from './bench/gateway-suite.js';
import { ledgerJson, ledgerText } from './bench/ledger-report.js';
import { QUICK } from './bench/ledger-sizes.js';
import type { LedgerMeasurement } from './bench/ledger-suite.js';
import { figuresOf, type Round } from './bench/leg.js';
import type { PluginLeg } from './bench/plugin-rounds.js';
import { processUsage } from './bench/process-usage.js';
import { RequestTemplate, SEQUENCE_MIN } from './bench/request-template.js';
import { median, percentile, ratioOfRounds } from './bench/statistics.js';
import { differences } from './bench/stored-books.js';
import { isBalanced, workflowJson, workflowText } from './bench/workflow-report.js';
import { QUICK as QUICK_WORKFLOW } from './bench/workflow-sizes.js';
import type { WorkflowMeasurement } from './bench/workflow-suite.js';

/** The arithmetic of the benchmark. How fast anything is, is nothing to test. */

test.each([
  [50, [3, 1, 2], 2],
  [50, [4, 1, 2, 3], 2],
  [99, Array.from({ length: 100 }, (_, index) => index + 1), 99],
  [99, Array.from({ length: 200 }, (_, index) => index + 1), 198],
  [99, [7], 7],
  [99, [], Number.NaN],
])('the percentile %d of %j is %d', (percent, values, expected) => {
  expect(percentile(values, percent)).toBe(expected);
});

test.each([
  [[5, 1, 3], 3],
  [[4, 1, 2, 3], 2.5],
  [[], Number.NaN],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('a ratio is the median of the ratios of the rounds, not the ratio of the medians', () => {
  expect(ratioOfRounds([10, 40, 9], [20, 40, 30])).toEqual({ ratio: 0.5, least: 0.3, most: 1 });
});

test('a request is made anew in the bytes that it has, and what is sent again stays as it was', () => {
  const { BatchRecordUsage } = contract.UsageService.service;
  const template = new RequestTemplate(
    { call: 'batch', records: 10, eventsOfExperience: 5, resentOfTen: 3 },
    newUuid(),
  );
  const first = template.refresh();
  const sent = BatchRecordUsage.requestDeserialize(Buffer.from(template.bytes)).records;
  const second = template.refresh();
  const next = BatchRecordUsage.requestDeserialize(Buffer.from(template.bytes)).records;

  const allCost = Array.from({ length: 10 }, (_, index) => benchRecord(index).cost).reduce((a, b) => a + b);
  expect(first).toEqual({ records: 10, cost: allCost });
  expect(new Set(sent.map(({ eventId }) => eventId)).size).toBe(10);
  expect(new Set(sent.map(({ attribution }) => attribution?.experienceId)).size).toBe(2);
  expect(second.records).toBe(7);
  expect(next.filter((record, index) => record.eventId === sent[index]?.eventId)).toHaveLength(3);
  for (const [index, record] of next.entries()) {
    const before = sent[index];
    if (record.eventId === before?.eventId) expect(record).toEqual(before);
    else expect(record.attribution?.experienceId).not.toBe(before?.attribution?.experienceId);
  }
});

test('a message of a stream reads as the contract has it, under the sequence that was set', () => {
  const { StreamUsage } = contract.UsageService.service;
  const shape = {
    call: 'stream',
    records: 3,
    eventsOfExperience: Number.POSITIVE_INFINITY,
    resentOfTen: 0,
  } as const;
  const hot = newUuid();
  const template = new RequestTemplate(shape, hot);
  template.refresh();
  for (const sequence of [SEQUENCE_MIN, SEQUENCE_MIN + 1, 2 ** 20 + 12_345]) {
    template.setSequence(sequence);
    const message = StreamUsage.requestDeserialize(template.bytes);
    expect(message.sequence).toBe(String(sequence));
    expect(message.records.map(({ attribution }) => attribution?.experienceId)).toEqual([hot, hot, hot]);
  }
});

test('the counts of an answer are read from its bytes', () => {
  const { BatchRecordUsage, StreamUsage } = contract.UsageService.service;
  const results = Array.from({ length: 300 }, (_, index) => ({ index, ack: { eventId: newUuid() } }));
  const counts = { recordedCount: 299, duplicateCount: 0, failedCount: 1 };
  const expected = { recorded: 299, duplicate: 0, failed: 1 };
  expect(answerCounts(BatchRecordUsage.responseSerialize({ results, ...counts }), 'batch')).toEqual({
    sequence: 0,
    ...expected,
  });
  const message = { ackedSequence: '16385', results, ...counts };
  expect(answerCounts(StreamUsage.responseSerialize(message), 'stream')).toEqual({
    sequence: 16_385,
    ...expected,
  });
});

test('the cost of a record is its units at the prices of the catalogue', () => {
  // 500 in and 100 out of gpt-4o-mini; 648 in and 152 out of gpt-4o.
  expect(benchRecord(0)).toMatchObject({
    model: 'gpt-4o-mini',
    input: 500,
    output: 100,
    cost: 135_000_000_000_000n,
  });
  expect(benchRecord(4)).toMatchObject({
    model: 'gpt-4o',
    input: 648,
    output: 152,
    cost: 3_140_000_000_000_000n,
  });
});

test('books that differ from what was acknowledged are told apart by event and by cost', () => {
  const right = { count: 2n, cost: 900n };
  const books = {
    events: right,
    experiences: { count: 3n, cost: 900n },
    rollupsOfHours: { count: 2n, cost: 899n },
    rollupsOfDays: right,
  };
  expect(differences(books, right)).toEqual([
    'experiences: 3 events, acknowledged 2',
    'rollupsOfHours: cost 899e-18, acknowledged 900e-18',
  ]);
});

test('the system says what a process uses', () => {
  const { memoryMb, peakMemoryMb, cpuMs } = processUsage(process.pid);
  if (process.platform !== 'linux') return;
  expect(memoryMb).toBeGreaterThan(20);
  expect(peakMemoryMb).toBeGreaterThanOrEqual(memoryMb * 0.9);
  expect(cpuMs).toBeGreaterThan(0);
  expect(processUsage(2 ** 30).cpuMs).toBeNaN();
});

test('the own time of functions counts within the window and without idle time', () => {
  const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 9 });
  const profile = {
    startTime: 1_000,
    nodes: [
      { id: 1, callFrame: frame('(idle)', '') },
      { id: 2, callFrame: frame('serialize', 'file:///elsewhere/node_modules/bson/lib/bson.js') },
      { id: 3, callFrame: frame('(garbage collector)', '') },
    ],
    samples: [2, 2, 1, 3, 2],
    timeDeltas: [100, 300, 500, 100, 10_000],
  };
  expect(selfTimes(profile, 1_200, 5_000)).toEqual({
    busyMicros: 400,
    modules: [
      { name: 'bson', micros: 300, percent: 75 },
      { name: '(garbage collector)', micros: 100, percent: 25 },
    ],
    functions: [
      { name: 'serialize  file:///elsewhere/node_modules/bson/lib/bson.js:10', micros: 300, percent: 75 },
      { name: '(garbage collector)', micros: 100, percent: 25 },
    ],
  });
});

test('the report gives programs every figure, and people each target', () => {
  const measured = sample();
  const json = ledgerJson(measured);
  expect(json.ratios).toEqual({
    batchToRawInsert: 0.5,
    streamToRawInsert: 0.4,
    unaryToEmptyHandler: 0.3,
    costReadAt1MTo1K: 1.02,
    idleAckToDriver: 1.25,
  });
  // Of the driver alone 47.5 and 25 µs, of batches 20 and 50, of the stream 25 and 62.5.
  expect(json.cpuRatios).toEqual({ batchToRawInsert: 1.04, streamToRawInsert: 0.83 });
  expect(json).toMatchObject({ distributionP99Ms: 12, memoryMb: 321, verify: { balanced: true }, cores: 2 });
  expect(json.targets.filter(({ isMet }) => !isMet).map(({ name }) => name)).toEqual(['unaryToEmptyHandler']);
  expect(json.legs.batch1000).toMatchObject({
    eventsPerSecond: 10_000,
    ackP50Ms: 2,
    ackP99Ms: 3,
    serverCpuMicrosPerEvent: 20,
    loadCpuShare: 0.95,
    loadIsTheLimit: true,
  });
  expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  const text = ledgerText(measured);
  for (const name of Object.keys(json.ratios)) expect(text).toContain(name);
  expect(text).toContain('the load generator is the limit');
  expect(ledgerText({ ...measured, rawDocumentsSame: false })).toContain('NOT those of the service');
});

test.each([
  [1, 6, 4, [1], 1],
  [6, 6, 4, [6, 1], 3],
  // 13 are two groups of 6 and one that goes up alone, then three are one group.
  [13, 6, 4, [13, 2, 1], 6],
  [226, 6, 4, [226, 38, 7, 1, 1], 71],
  [226, 6, 300, [226, 38, 7, 1, 1], 5],
])(
  '%d chunks at a fan-in of %d with %d calls side by side are %j calls, %d one after the other',
  (...given) => {
    const [chunkCount, fanIn, parallelCalls, callsOfLevels, steps] = given;
    expect(criticalPath(chunkCount, fanIn, parallelCalls)).toMatchObject({ callsOfLevels, steps });
  },
);

test('the report of the workflow suite gives programs every figure, and people each target', () => {
  const measured = workflowSample();
  const json = workflowJson(measured);
  expect(json).toMatchObject({
    suite: 'workflow',
    ratios: { withPluginToWithout: 1.15 },
    ratiosOfRounds: { withPluginToWithout: { least: 1.1, most: 1.2 } },
    historyEventsAdded: 0,
    // 40 ms over 10 activities, and 15.
    pluginCpuMsPerActivity: 2.5,
    // 345 ms against 300, of 5 activities.
    pluginLatencyMsPerActivity: 9,
    withPlugin: { p50Ms: 330, p99Ms: 360, runs: 4 },
    withoutPlugin: { p50Ms: 300, p99Ms: 300, runs: 4 },
    books: { balanced: true },
    summary: { wallToIdeal: 1.6, wallToIdealOfRounds: { least: 1.5, most: 1.7 }, criticalPathSteps: 6 },
    loadAverage: { before: 0.5, after: 1.5 },
  });
  expect(json.targets.map(({ name, isMet }) => [name, isMet])).toEqual([
    ['withPluginToWithout', true],
    ['historyEventsAdded', true],
    ['summary.wallToIdeal', false],
  ]);
  expect(json.summary.criticalPath).toBe(
    '13 chunks and 2 levels of a fan-in of 6 are 13 + 2 + 1 calls; with 4 side by side, level after level, ' +
      '6 one after the other, of 300 ms each',
  );
  expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  const text = workflowText(measured);
  for (const { name } of json.targets) expect(text).toContain(name);
  expect(text).toContain(json.summary.criticalPath);
});

test('a plugin that did not record each paid call is told apart from one that is fast', () => {
  const measured = workflowSample();
  const { plugin } = measured;
  const missing = { ...measured, plugin: { ...plugin, books: { ...plugin.books, events: 19 } } };
  expect(isBalanced(measured)).toBe(true);
  expect(isBalanced(missing)).toBe(false);
  expect(workflowText(missing)).toContain('NOT EACH PAID CALL IS RECORDED: 19 of 20');
  const open = { ...measured, plugin: { ...plugin, books: { ...plugin.books, openReservations: 1 } } };
  expect(isBalanced(open)).toBe(false);
  const unrecorded = { ...measured, summary: { ...measured.summary, served: 33 } };
  expect(isBalanced(unrecorded)).toBe(false);
});

test('the report of the gateway suite gives programs every figure, and people each target', () => {
  const measured = gatewaySample();
  const json = gatewayJson(measured);
  expect(json).toMatchObject({
    suite: 'gateway',
    // 12 against 2, and 20 against 4.
    addedP50Ms: 10,
    addedP99Ms: 16,
    requestsPerSecond: 400,
    ratios: { toPassThrough: 0.2 },
    cpuMsPerCall: { gateway: 0.4, service: 0.5, mongod: 0.3, together: 1.2 },
    memoryMb: 150,
    firstByteDelayMs: 10,
    firstByteDelayOfPassThroughMs: 2,
    reservationMs: 8,
    books: { balanced: true },
  });
  expect(json.targets.map(({ name, isMet }) => [name, isMet])).toEqual([
    ['toPassThrough, 32 in flight', true],
    ['cpuMsPerCall, 32 in flight', false],
    ['memoryMb', true],
    ['addedP50Ms, 1 in flight', true],
    // 8 ms behind a bare proxy, in a reservation of 8 ms.
    ['firstByteDelayToReservation', true],
  ]);
  expect(json.shapes.stream16).toMatchObject({ gateway: { answers: 800, p50Ms: 12, firstByteP50Ms: 11 } });
  expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  const text = gatewayText(measured);
  for (const { name } of json.targets) expect(text).toContain(name);
  const books = {
    ...measured.books,
    balanced: false,
    differences: ['1 answered calls are not in the ledger'],
  };
  expect(gatewayText({ ...measured, books })).toContain(
    'NOT AS ANSWERED: 1 answered calls are not in the ledger',
  );
});

/** Two rounds of one second each on every side, with figures that are easily reckoned. */
function gatewaySample(): GatewayMeasurement {
  const round = (answers: number, p50Ms: number, p99Ms: number, firstByteMs: number): CallRound => ({
    answers,
    elapsedMs: 1_000,
    latenciesMs: Float64Array.of(p50Ms, p50Ms, p99Ms),
    firstBytesMs: Float64Array.of(firstByteMs, firstByteMs, firstByteMs),
    reservationsMs: [7, 8, 9],
    cpuMs: { gateway: 0.4 * answers, service: 0.5 * answers, mongod: 0.3 * answers },
  });
  const twice = (one: CallRound) => [one, one];
  const sides = {
    direct: twice(round(4_000, 2, 4, 1)),
    passThrough: twice(round(2_000, 3, 6, 3)),
    gateway: twice(round(400, 12, 20, 11)),
  };
  return {
    quick: true,
    machine: MACHINE,
    sizes: QUICK_GATEWAY,
    loadAverage: { before: 0.5, after: 1.5 },
    rounds: { whole1: sides, whole8: sides, whole32: sides, stream16: sides },
    gatewayPeakMemoryMb: 150,
    books: {
      balanced: true,
      answers: 3_200,
      costE18: '1',
      queued: 0,
      openReservations: 0,
      differences: [],
    },
  };
}

function workflowSample(): WorkflowMeasurement {
  const leg = (latencyMs: number, workerCpuMs: number): PluginLeg => ({
    latenciesMs: [latencyMs, latencyMs],
    workerCpuMs,
    activities: 10,
  });
  return {
    quick: true,
    machine: MACHINE,
    sizes: { ...QUICK_WORKFLOW, activitiesOfRun: 5 },
    loadAverage: { before: 0.5, after: 1.5 },
    plugin: {
      withPlugin: [leg(330, 40), leg(360, 40)],
      withoutPlugin: [leg(300, 15), leg(300, 15)],
      historyEvents: { withPlugin: 35, withoutPlugin: 35 },
      books: { expectedEvents: 20, events: 20, openReservations: 0 },
    },
    summary: {
      latencyMs: 300,
      chunkTokens: 1_200,
      fanIn: 6,
      parallelCalls: 4,
      documentBytes: 60_000,
      chunkCount: 13,
      path: { callsOfLevels: [13, 2, 1], calls: 16, steps: 6 },
      idealMs: 1_800,
      wallMs: [2_700, 3_060],
      events: 32,
      served: 32,
      cpuMsPerCall: { service: 3, worker: Number.NaN },
    },
  };
}

const MACHINE = {
  node: '20.19.0',
  mongod: '6.0.5',
  mongodCacheGb: 1,
  cores: 2,
  processor: 'a processor',
  system: 'a system',
  date: '2026-11-24T12:00:00.000Z',
};

/** One round of each load, with figures that are easily reckoned. */
function sample(): LedgerMeasurement {
  const round = (eventsPerSecond: number): Round => ({
    events: eventsPerSecond,
    freshRecords: eventsPerSecond,
    freshCost: 0n,
    duplicates: 0,
    repeatedMessages: 0,
    elapsedMs: 1_000,
    latenciesMs: Float64Array.of(1, 2, 3),
    eventsPerSecond,
    loadCpuMs: 950,
    serverCpuMs: 200,
    mongodCpuMs: 500,
  });
  const rounds = {
    rawInsert: [round(20_000)],
    batch1000: [round(10_000)],
    stream: [round(8_000)],
    unary64: [round(3_000)],
    emptyUnary64: [round(10_000)],
  };
  const legs = Object.entries(rounds).map(
    ([name, all]) => [name, { title: name, ...figuresOf(all) }] as const,
  );
  return {
    quick: true,
    machine: MACHINE,
    sizes: QUICK,
    diskIsMemory: false,
    rawDocumentsSame: true,
    rounds,
    legs: Object.fromEntries(legs),
    idle: { recordUsageP50MsOfRounds: [5], driverP50MsOfRounds: [4] },
    fullLoad: {
      seconds: 10,
      eventsPerSecond: 10_000,
      memoryAtStartMb: 200,
      memoryAtEndMb: 300,
      peakMemoryMb: 321,
    },
    costReads: {
      costReadRatio: 1.02,
      costOfLargeP50Ms: 1,
      costOfLargeP99Ms: 2,
      costOfSmallP50Ms: 1,
      costOfSmallP99Ms: 2,
      largeEvents: 100_000,
      smallEvents: 1_000,
      distributionP50Ms: 6,
      distributionP99Ms: 12,
      queryCostsP50Ms: 5,
      queryCostsP99Ms: 10,
      compareVersionsP50Ms: 7,
      compareVersionsP99Ms: 14,
      readsOfEach: 100,
      storedEvents: 121_000,
      storedExperiences: 4_002,
      recordedPerSecondMeanwhile: 1_000,
      recordAckP99MsMeanwhile: 9,
    },
    verify: { balanced: true, events: 31_000, duplicates: 0, costE18: '1', differences: [], byService: null },
  };
}
