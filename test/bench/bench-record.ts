import type { UsageRecord as WireRecord } from '../../services/contract/generated/experiences/v1/UsageRecord.js';

/** The records that all loads send: the same call over and over but for ids, models and units. */
export interface BenchRecord {
  readonly provider: 'openai';
  readonly model: 'gpt-4o-mini' | 'gpt-4o';
  readonly input: number;
  readonly output: number;
  readonly latencyMs: number;
  readonly providerRequestId: string;
  /** As an activity of a workflow records: with operation and source. */
  readonly operationKey: string | undefined;
  /** In whole numbers of 10^-18. */
  readonly cost: bigint;
}

export const BENCH_TYPE = 'Bench';
export const EVENTS_OF_EXPERIENCE = 5;

export function benchRecord(index: number, options: { readonly operations?: boolean } = {}): BenchRecord {
  const model = index % 5 === 4 ? 'gpt-4o' : 'gpt-4o-mini';
  const input = 500 + ((index * 37) % 4_000);
  const output = 100 + ((index * 13) % 900);
  const [ofInput, ofOutput] = RATES[model];
  return {
    provider: 'openai',
    model,
    input,
    output,
    latencyMs: 800 + (index % 500),
    providerRequestId: `req_${String(index).padStart(24, '0')}`,
    operationKey: options.operations === true ? `map/${index}` : undefined,
    cost: ofInput * BigInt(input) + ofOutput * BigInt(output),
  };
}

export function toWireRecord(record: BenchRecord, eventId: string, experienceId: string): WireRecord {
  return {
    eventId,
    attribution: { experienceId, experienceType: BENCH_TYPE },
    provider: record.provider,
    model: record.model,
    units: { text: { input: String(record.input), output: String(record.output) } },
    outcome: 'USAGE_OUTCOME_SUCCEEDED',
    latencyMs: String(record.latencyMs),
    providerRequestId: record.providerRequestId,
    ...(record.operationKey === undefined
      ? {}
      : { operationKey: record.operationKey, step: 'map', workflowSource: { ...SOURCE } }),
  };
}

const SOURCE = {
  namespace: 'default',
  workflowId: 'default/0198c9a2-7c4e-7d31-9a55-3f6f1f4f7b10',
  runId: '0198c9a2-7c4f-7d31-9a55-3f6f1f4f7b11',
  workflowType: 'documentSummarization',
  activityId: '12',
  activityType: 'summarizePart',
  attempt: 1,
  taskQueue: 'experiences',
  workerIdentity: '4711@worker-1',
} as const;

/** Of the catalogue, by hand: dollars a token in 10^-18. */
const RATES = {
  'gpt-4o-mini': [150_000_000_000n, 600_000_000_000n],
  'gpt-4o': [2_500_000_000_000n, 10_000_000_000_000n],
} as const;
