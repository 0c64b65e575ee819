import { CALL_SHAPES, type ShapeName, SIDES, type Side } from './gateway-sizes.js';
import {
  type CallRound,
  type GatewayMeasurement,
  MEASURED_PROCESSES,
  type MeasuredProcess,
} from './gateway-suite.js';
import { rounded } from './leg.js';
import { median, percentile, type Ratio, ratioOfRounds, sum } from './statistics.js';
import { type Target, targetOf, targetsJson, targetTable } from './targets.js';

/** What the gateway suite says to programs, one object. The figures without a shape are those that have a target. */
export function gatewayJson(measured: GatewayMeasurement) {
  const { quick, machine, sizes, rounds, books, loadAverage } = measured;
  const { whole1, whole32, stream16 } = rounds;
  const toPassThrough = throughputRatio(whole32.gateway, whole32.passThrough);
  return {
    suite: 'gateway',
    quick,
    ...machine,
    addedP50Ms: rounded(addedMs(whole1, 50).ratio),
    addedP99Ms: rounded(addedMs(whole1, 99).ratio),
    requestsPerSecond: Math.round(median(whole32.gateway.map(answersPerSecond))),
    ratios: { toPassThrough: rounded(toPassThrough.ratio) },
    ratiosOfRounds: {
      toPassThrough: { least: rounded(toPassThrough.least), most: rounded(toPassThrough.most) },
    },
    cpuMsPerCall: cpuJson(whole32.gateway),
    memoryMb: rounded(measured.gatewayPeakMemoryMb),
    firstByteDelayMs: rounded(firstByteDelayMs(stream16.gateway, stream16.direct).ratio),
    firstByteDelayOfPassThroughMs: rounded(firstByteDelayMs(stream16.passThrough, stream16.direct).ratio),
    reservationMs: rounded(median(stream16.gateway.map(reservationP50Ms))),
    shapes: Object.fromEntries(CALL_SHAPES.map(({ name }) => [name, shapeJson(measured, name)])),
    books,
    targets: targetsJson(targetsOf(measured)),
    loadAverage,
    sizes,
  };
}

export type GatewayJson = ReturnType<typeof gatewayJson>;

/** The same for people. */
export function gatewayText(measured: GatewayMeasurement): string {
  const { machine, quick, loadAverage, sizes, books } = measured;
  const json = gatewayJson(measured);
  return [
    `gateway${quick ? ', quick' : ''}: ${machine.date}, Node ${machine.node}, mongod ${machine.mongod}, ` +
      `${machine.cores} cores (${machine.processor}), ${machine.system}`,
    `load average ${loadAverage.before.toFixed(1)} before and ${loadAverage.after.toFixed(1)} after; without anything else on the machine it is 0 before`,
    targetTable(targetsOf(measured)),
    ...CALL_SHAPES.map(({ name, title }) => shapeText(title, shapeJson(measured, name))),
    `first byte of streams, 16 in flight: ${json.firstByteDelayMs} ms later than from the provider itself, of which the reservation takes ${json.reservationMs} ms; through a bare proxy ${json.firstByteDelayOfPassThroughMs} ms later`,
    `medians of ${sizes.rounds} rounds of ${sizes.legSeconds} s; the gateway held ${json.memoryMb ?? '-'} MB at most`,
    books.balanced
      ? `books: each of the ${books.answers.toLocaleString('en')} answered calls is in the ledger once, at its exact cost; ${books.queued} by the outbox`
      : `books: NOT AS ANSWERED: ${books.differences.join('; ')}`,
  ].join('\n\n');
}

export function targetsOf(measured: GatewayMeasurement): readonly Target[] {
  const { whole1, whole32, stream16 } = measured.rounds;
  const memory = measured.gatewayPeakMemoryMb;
  return [
    targetOf('toPassThrough, 32 in flight', throughputRatio(whole32.gateway, whole32.passThrough), {
      atLeast: 0.15,
      aim: 0.25,
    }),
    targetOf('cpuMsPerCall, 32 in flight', cpuMsPerCall(whole32.gateway, MEASURED_PROCESSES), { atMost: 1 }),
    targetOf('memoryMb', { ratio: memory, least: memory, most: memory }, { atMost: 200 }),
    targetOf('addedP50Ms, 1 in flight', addedMs(whole1, 50), { atMost: 12 }),
    // Behind the hop that any proxy is.
    targetOf('firstByteDelayToReservation', firstByteDelayToReservation(stream16), { atMost: 1 }),
  ];
}

type Sides = Readonly<Record<Side, readonly CallRound[]>>;

function shapeJson({ rounds }: GatewayMeasurement, name: ShapeName) {
  const sides = rounds[name];
  return {
    direct: sideJson(sides.direct),
    passThrough: sideJson(sides.passThrough),
    gateway: sideJson(sides.gateway),
    addedP50Ms: rounded(addedMs(sides, 50).ratio),
    addedP99Ms: rounded(addedMs(sides, 99).ratio),
    toPassThrough: rounded(throughputRatio(sides.gateway, sides.passThrough).ratio),
    toDirect: rounded(throughputRatio(sides.gateway, sides.direct).ratio),
    cpuMsPerCall: cpuJson(sides.gateway),
    reservationMs: rounded(median(sides.gateway.map(reservationP50Ms))),
  };
}

function sideJson(rounds: readonly CallRound[]) {
  const latency = (percent: number) =>
    rounded(median(rounds.map(({ latenciesMs }) => percentile(latenciesMs, percent))));
  return {
    answers: sum(rounds.map(({ answers }) => answers)),
    requestsPerSecond: Math.round(median(rounds.map(answersPerSecond))),
    p50Ms: latency(50),
    p99Ms: latency(99),
    firstByteP50Ms: rounded(median(rounds.map(firstByteP50Ms))),
  };
}

function shapeText(title: string, shape: ReturnType<typeof shapeJson>): string {
  const side = (name: Side) =>
    `${TITLE_OF[name]} ${shape[name].requestsPerSecond.toLocaleString('en')}/s, ${shape[name].p50Ms} / ${shape[name].p99Ms} ms`;
  const { gateway, service, mongod, together } = shape.cpuMsPerCall;
  return (
    `${title}, p50 / p99: ${SIDES.map(side).join('; ')}\n` +
    `  added ${shape.addedP50Ms} / ${shape.addedP99Ms} ms; ${shape.toPassThrough} of the bare proxy's answers; ` +
    `CPU of a call ${together ?? '-'} ms: gateway ${gateway ?? '-'}, service ${service ?? '-'}, mongod ${mongod ?? '-'}`
  );
}

/** How much later an answer is whole than from the provider itself: the difference of the percentiles, round by round. */
function addedMs({ gateway, direct }: Sides, percent: number): Ratio {
  const latency = ({ latenciesMs }: CallRound) => percentile(latenciesMs, percent);
  return differenceOfRounds(gateway.map(latency), direct.map(latency));
}

function firstByteDelayMs(rounds: readonly CallRound[], base: readonly CallRound[]): Ratio {
  return differenceOfRounds(rounds.map(firstByteP50Ms), base.map(firstByteP50Ms));
}

/** What is behind the hop that any proxy is, in reservations. */
function firstByteDelayToReservation({ gateway, passThrough }: Sides): Ratio {
  const delays = gateway.map(
    (round, index) => firstByteP50Ms(round) - firstByteP50Ms(passThrough[index] ?? round),
  );
  return ratioOfRounds(delays, gateway.map(reservationP50Ms));
}

function throughputRatio(rounds: readonly CallRound[], base: readonly CallRound[]): Ratio {
  return ratioOfRounds(rounds.map(answersPerSecond), base.map(answersPerSecond));
}

function differenceOfRounds(upper: readonly number[], lower: readonly number[]): Ratio {
  const differences = upper.map((value, round) => value - (lower[round] ?? Number.NaN));
  return { ratio: median(differences), least: Math.min(...differences), most: Math.max(...differences) };
}

function cpuMsPerCall(rounds: readonly CallRound[], processes: readonly MeasuredProcess[]): Ratio {
  const ofRounds = rounds.map(({ cpuMs, answers }) => sum(processes.map((name) => cpuMs[name])) / answers);
  return { ratio: median(ofRounds), least: Math.min(...ofRounds), most: Math.max(...ofRounds) };
}

function cpuJson(rounds: readonly CallRound[]) {
  const of = (...processes: readonly MeasuredProcess[]) => rounded(cpuMsPerCall(rounds, processes).ratio);
  return {
    gateway: of('gateway'),
    service: of('service'),
    mongod: of('mongod'),
    together: of(...MEASURED_PROCESSES),
  };
}

function answersPerSecond({ answers, elapsedMs }: CallRound): number {
  return (answers / elapsedMs) * 1_000;
}

function firstByteP50Ms({ firstBytesMs }: CallRound): number {
  return percentile(firstBytesMs, 50);
}

function reservationP50Ms({ reservationsMs }: CallRound): number {
  return percentile(reservationsMs, 50);
}

const TITLE_OF = {
  direct: 'the provider itself',
  passThrough: 'bare proxy',
  gateway: 'gateway',
} as const satisfies Record<Side, string>;
