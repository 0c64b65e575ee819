import { rounded } from './leg.js';
import type { PluginLeg, PluginRounds } from './plugin-rounds.js';
import { median, percentile, type Ratio, ratioOfRounds, sum } from './statistics.js';
import type { SummaryRounds } from './summary-rounds.js';
import { type Target, targetOf, targetsJson, targetTable } from './targets.js';
import type { WorkflowMeasurement } from './workflow-suite.js';

/** What the workflow suite says to programs, one object. */
export function workflowJson(measured: WorkflowMeasurement) {
  const { quick, machine, sizes, plugin, summary } = measured;
  const latency = latencyRatioOf(plugin);
  const cpu = pluginCpuOf(plugin);
  const wall = wallRatioOf(summary);
  const [withPlugin, withoutPlugin] = [figuresOf(plugin.withPlugin), figuresOf(plugin.withoutPlugin)];
  return {
    suite: 'workflow',
    quick,
    ...machine,
    ratios: { withPluginToWithout: rounded(latency.ratio) },
    ratiosOfRounds: {
      withPluginToWithout: { least: rounded(latency.least), most: rounded(latency.most) },
    },
    historyEventsAdded: historyEventsAdded(plugin),
    pluginCpuMsPerActivity: rounded(cpu.ratio),
    pluginLatencyMsPerActivity: rounded(
      (withPlugin.medianMs - withoutPlugin.medianMs) / sizes.activitiesOfRun,
    ),
    withPlugin: withPlugin.json,
    withoutPlugin: withoutPlugin.json,
    historyEvents: plugin.historyEvents,
    books: { ...plugin.books, balanced: isBalanced(measured) },
    summary: {
      wallToIdeal: rounded(wall.ratio),
      wallToIdealOfRounds: { least: rounded(wall.least), most: rounded(wall.most) },
      wallMs: rounded(median(summary.wallMs)),
      idealMs: summary.idealMs,
      criticalPath: pathText(summary),
      criticalPathSteps: summary.path.steps,
      callsOfLevels: summary.path.callsOfLevels,
      latencyMs: summary.latencyMs,
      documentBytes: summary.documentBytes,
      chunkTokens: summary.chunkTokens,
      chunkCount: summary.chunkCount,
      fanIn: summary.fanIn,
      parallelCalls: summary.parallelCalls,
      recordedCalls: summary.events,
      servedCalls: summary.served,
      cpuMsPerCall: Object.fromEntries(
        Object.entries(summary.cpuMsPerCall).map(([name, value]) => [name, rounded(value)]),
      ),
    },
    targets: targetsJson(targetsOf(measured)),
    loadAverage: measured.loadAverage,
    sizes,
  };
}

export type WorkflowJson = ReturnType<typeof workflowJson>;

/** The same for people. */
export function workflowText(measured: WorkflowMeasurement): string {
  const { machine, sizes, plugin, summary, quick, loadAverage } = measured;
  const json = workflowJson(measured);
  const { withPlugin, withoutPlugin, books } = json;
  return [
    `workflow${quick ? ', quick' : ''}: ${machine.date}, Node ${machine.node}, mongod ${machine.mongod}, ` +
      `${machine.cores} cores (${machine.processor}), ${machine.system}`,
    `load average ${loadAverage.before.toFixed(1)} before and ${loadAverage.after.toFixed(1)} after; without anything else on the machine it is below ${machine.cores}`,
    targetTable(targetsOf(measured)),
    `a workflow of ${sizes.activitiesOfRun} activities of 50 ms each, one after the other, ${sizes.rounds} rounds of ${sizes.runsOfLeg} runs each way in turn, p50/p99: ` +
      `with the plugin ${withPlugin.p50Ms} / ${withPlugin.p99Ms} ms, without ${withoutPlugin.p50Ms} / ${withoutPlugin.p99Ms} ms; ` +
      `the plugin adds ${json.pluginLatencyMsPerActivity} ms and ${json.pluginCpuMsPerActivity ?? '-'} ms of the worker's CPU to an activity`,
    `events of a history: with the plugin ${plugin.historyEvents.withPlugin}, without ${plugin.historyEvents.withoutPlugin}`,
    `summary of ${summary.documentBytes.toLocaleString('en')} bytes: ${json.summary.wallMs} ms; ideal ${summary.idealMs} ms: ${pathText(summary)}`,
    `CPU of a call of the summary: ${Object.entries(json.summary.cpuMsPerCall)
      .map(([name, value]) => `${name} ${value ?? '-'} ms`)
      .join(', ')}`,
    books.balanced
      ? `books: each of the ${books.expectedEvents} paid calls is recorded, and those of the summaries; nothing is held any more`
      : `books: NOT EACH PAID CALL IS RECORDED: ${books.events} of ${books.expectedEvents}, ${books.openReservations} reservations open; of the summaries ${summary.events} of ${summary.served}`,
  ].join('\n\n');
}

/** Whether all that was measured was done, and metered. */
export function isBalanced({ plugin: { books }, summary }: WorkflowMeasurement): boolean {
  return (
    books.events === books.expectedEvents && books.openReservations === 0 && summary.events === summary.served
  );
}

function targetsOf({ plugin, summary }: WorkflowMeasurement): readonly Target[] {
  const added = historyEventsAdded(plugin);
  return [
    targetOf('withPluginToWithout', latencyRatioOf(plugin), { atMost: 1.2, aim: 1.1 }),
    targetOf('historyEventsAdded', { ratio: added, least: added, most: added }, { atMost: 0 }),
    targetOf('summary.wallToIdeal', wallRatioOf(summary), { atMost: 1.5 }),
  ];
}

function latencyRatioOf({ withPlugin, withoutPlugin }: PluginRounds): Ratio {
  const medians = (legs: readonly PluginLeg[]) => legs.map(({ latenciesMs }) => median(latenciesMs));
  return ratioOfRounds(medians(withPlugin), medians(withoutPlugin));
}

/** A difference of all rounds together: the system counts in hundredths of a second, about what one leg adds. */
function pluginCpuOf({ withPlugin, withoutPlugin }: PluginRounds): { readonly ratio: number } {
  const perActivity = (legs: readonly PluginLeg[]) =>
    sum(legs.map(({ workerCpuMs }) => workerCpuMs)) / sum(legs.map(({ activities }) => activities));
  return { ratio: perActivity(withPlugin) - perActivity(withoutPlugin) };
}

function historyEventsAdded({ historyEvents }: PluginRounds): number {
  return historyEvents.withPlugin - historyEvents.withoutPlugin;
}

function wallRatioOf({ wallMs, idealMs }: SummaryRounds): Ratio {
  return ratioOfRounds(
    wallMs,
    wallMs.map(() => idealMs),
  );
}

function pathText({ path, latencyMs, chunkCount, fanIn, parallelCalls }: SummaryRounds): string {
  return (
    `${chunkCount} chunks and ${path.callsOfLevels.length - 1} levels of a fan-in of ${fanIn} are ` +
    `${path.callsOfLevels.join(' + ')} calls; with ${parallelCalls} side by side, level after level, ` +
    `${path.steps} one after the other, of ${latencyMs} ms each`
  );
}

function figuresOf(legs: readonly PluginLeg[]) {
  const latencies = legs.flatMap(({ latenciesMs }) => latenciesMs);
  const cpuMs = sum(legs.map(({ workerCpuMs }) => workerCpuMs));
  const activities = sum(legs.map((leg) => leg.activities));
  return {
    medianMs: median(latencies),
    json: {
      p50Ms: rounded(percentile(latencies, 50)),
      p99Ms: rounded(percentile(latencies, 99)),
      p50MsOfRounds: legs.map(({ latenciesMs }) => rounded(percentile(latenciesMs, 50))),
      runs: latencies.length,
      activities,
      workerCpuMsPerActivity: rounded(cpuMs / activities),
    },
  };
}
