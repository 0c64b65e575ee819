import { join } from 'node:path';
import { z } from 'zod';
import { ExperiencesClient } from '../../services/client/index.js';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import type { LineLog } from '../../services/stack/progress.js';
import { createReferenceTypes, DOCUMENT_SUMMARIZATION } from '../../services/stack/reference-types.js';
import { paragraphs } from '../support/texts.js';
import { type CriticalPath, criticalPath } from './critical-path.js';
import { processUsage } from './process-usage.js';
import type { WorkflowSizes } from './workflow-sizes.js';

/** The summary of one document, several times. */
export interface SummaryRounds {
  readonly latencyMs: number;
  readonly chunkTokens: number;
  readonly fanIn: number;
  readonly parallelCalls: number;
  readonly documentBytes: number;
  readonly chunkCount: number;
  readonly path: CriticalPath;
  readonly idealMs: number;
  readonly wallMs: readonly number[];
  /** Of all summaries, the paid calls that are in the books, and those that the provider has served. */
  readonly events: number;
  readonly served: number;
  /** Of a call, by process; NaN where the system does not say. */
  readonly cpuMsPerCall: Readonly<Record<string, number>>;
}

export interface SummaryStack {
  readonly temporalAddress: string;
  readonly serviceAddress: string;
  /** Processes whose time is measured, by name. */
  readonly pids: Readonly<Record<string, number>>;
}

/** The wall time of a summary: from asking for it until its watcher knows its end, the upload not included. */
export async function measureSummaries(
  stack: SummaryStack,
  sizes: WorkflowSizes,
  log: LineLog,
): Promise<SummaryRounds> {
  const simulator = await startSimulatorProcess();
  const worker = await startSummaryWorker(stack, simulator.ready[1] ?? '').catch(async (error: unknown) => {
    await simulator.stop();
    throw error;
  });
  const client = new ExperiencesClient({ address: stack.serviceAddress });
  try {
    await createReferenceTypes(stack.serviceAddress);
    await summarize(client, paragraphs(WARM_UP_PARAGRAPHS), sizes);
    const text = textOf(sizes.documentBytes);
    const pids = { ...stack.pids, worker: worker.pid, simulator: simulator.pid };
    const before = cpuOf(pids);
    const servedBefore = await servedCalls(simulator);
    const runs: SummaryRun[] = [];
    for (let run = 1; run <= sizes.summaries; run += 1) {
      log(`summary ${run} of ${sizes.summaries}`);
      runs.push(await summarize(client, text, sizes));
    }
    const after = cpuOf(pids);
    const served = (await servedCalls(simulator)) - servedBefore;
    const [{ chunkCount } = { chunkCount: 0 }] = runs;
    const path = criticalPath(chunkCount, FAN_IN, sizes.parallelCalls);
    const events = runs.reduce((total, run) => total + run.events, 0);
    return {
      latencyMs: LATENCY_MS,
      chunkTokens: CHUNK_TOKENS,
      fanIn: FAN_IN,
      parallelCalls: sizes.parallelCalls,
      documentBytes: Buffer.byteLength(text),
      chunkCount,
      path,
      idealMs: path.steps * LATENCY_MS,
      wallMs: runs.map(({ wallMs }) => wallMs),
      events,
      served,
      cpuMsPerCall: Object.fromEntries(
        Object.entries(after).map(([name, cpuMs]) => [name, (cpuMs - (before[name] ?? 0)) / events]),
      ),
    };
  } finally {
    client.close();
    await worker.stop();
    await simulator.stop();
  }
}

interface SummaryRun {
  readonly wallMs: number;
  readonly chunkCount: number;
  readonly events: number;
}

async function summarize(
  client: ExperiencesClient,
  text: string,
  { parallelCalls }: WorkflowSizes,
): Promise<SummaryRun> {
  const { documentId } = await client.documents.upload(text, { name: 'harbours.txt' });
  const start = performance.now();
  let { run } = await client.runs.start({
    experienceType: DOCUMENT_SUMMARIZATION.name,
    documentId,
    parameters: { chunkTokens: CHUNK_TOKENS, fanIn: FAN_IN, parallelCalls },
  });
  for await (const state of client.runs.watch(run.experienceId)) run = state;
  const wallMs = performance.now() - start;
  if (run.state !== 'COMPLETED') throw new Error(`the summary ended ${run.state}`);
  const { chunkCount } = RESULT.parse(run.result);
  const { totals } = await client.costs.get(run.experienceId);
  return { wallMs, chunkCount, events: Number(totals.eventCount) };
}

/** Billed calls, by the provider's own count. */
async function servedCalls({ ready }: NodeProcess): Promise<number> {
  const response = await fetch(new URL('/simulator/served?limit=1', ready[1]));
  return SERVED.parse(await response.json()).sums.billedCalls;
}

const SERVED = z.object({ sums: z.object({ billedCalls: z.number() }) });
const RESULT = z.object({ chunkCount: z.number() });

/** Of exactly so many bytes: the paragraphs are ASCII. */
function textOf(bytes: number): string {
  return paragraphs(Math.ceil(bytes / PARAGRAPH_BYTES_MIN)).slice(0, bytes);
}

function cpuOf(pids: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, processUsage(pid).cpuMs]));
}

function startSimulatorProcess(): Promise<NodeProcess> {
  return startNodeProcess({
    name: 'simulator',
    script: join(PACKAGE_ROOT, 'dist', 'services', 'simulator', 'main.js'),
    environment: { ...process.env, SIMULATOR_LATENCY_MS: String(LATENCY_MS), SIMULATOR_PORT: '0' },
    readyLine: /"url":"([^"]+)"/,
  });
}

/** From the build, as `npm run worker` starts it. */
function startSummaryWorker(stack: SummaryStack, providerUrl: string): Promise<NodeProcess> {
  return startNodeProcess({
    name: 'worker',
    script: join(PACKAGE_ROOT, 'dist', 'workflows', 'main.js'),
    environment: {
      ...process.env,
      TEMPORAL_ADDRESS: stack.temporalAddress,
      EXPERIENCES_ADDRESS: stack.serviceAddress,
      OPENAI_BASE_URL: providerUrl,
      OPENAI_API_KEY: '',
      EXPERIENCES_HOUSEKEEPING: 'false',
      LOG_LEVEL: 'info',
    },
    readyLine: /"msg":"worker ready"/,
    readyDeadlineMs: WORKER_READY_MS,
  });
}

const LATENCY_MS = 300;
/** The workflow's own defaults. */
const CHUNK_TOKENS = 1_200;
const FAN_IN = 6;
const WARM_UP_PARAGRAPHS = 100;
/** None is shorter. */
const PARAGRAPH_BYTES_MIN = 300;
/** It bundles the workflows first. */
const WORKER_READY_MS = 90_000;
