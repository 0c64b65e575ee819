import { Server, ServerCredentials } from '@grpc/grpc-js';
import { contract } from '../../services/contract/contract.js';
import type { BatchRecordUsageResponse } from '../../services/contract/generated/experiences/v1/BatchRecordUsageResponse.js';
import type { RecordUsageResponse } from '../../services/contract/generated/experiences/v1/RecordUsageResponse.js';

/**
 * What grpc-js alone takes: the same contract, requests decoded and answers encoded as in the service, and handlers that
 * do nothing between.
 */

const TIME = { seconds: '1760000000', nanos: 123_000_000 };
const COST = { input: '0.00015', output: '0.0003', total: '0.00045', currencyCode: 'USD' };
const IDS = {
  eventId: '0198c9a2-7c4e-7d31-9a55-3f6f1f4f7b10',
  experienceId: '0198c9a2-7c4f-7d31-9a55-3f6f1f4f7b11',
};
const PRICE_ID = '6fae5edf-050f-5721-a036-8d7be5272d5e';

const RECORDED: RecordUsageResponse = {
  event: {
    ...IDS,
    experienceType: 'Bench',
    experienceVersion: 1,
    provider: 'openai',
    model: 'gpt-4o-mini',
    units: { text: { input: '1000', output: '500' } },
    outcome: 'USAGE_OUTCOME_SUCCEEDED',
    cost: COST,
    priceId: PRICE_ID,
    useful: true,
    eventTime: TIME,
    recordTime: TIME,
    latencyMs: '800',
    providerRequestId: 'req_000000000000000000000001',
  },
  duplicate: false,
  experienceCreated: false,
  experienceIdReplaced: false,
  warnings: [],
};

function recordedAll(records: number): BatchRecordUsageResponse {
  const ack = { ...IDS, cost: COST, priceId: PRICE_ID };
  return {
    results: Array.from({ length: records }, (_, index) => ({ index, ack })),
    recordedCount: records,
    duplicateCount: 0,
    failedCount: 0,
  };
}

const server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
const { RecordUsage, BatchRecordUsage } = contract.UsageService.service;
server.addService(
  { RecordUsage, BatchRecordUsage },
  {
    RecordUsage: (_call: unknown, answer: (error: null, response: RecordUsageResponse) => void) =>
      answer(null, RECORDED),
    BatchRecordUsage: (
      call: { readonly request: { readonly records: readonly unknown[] } },
      answer: (error: null, response: BatchRecordUsageResponse) => void,
    ) => answer(null, recordedAll(call.request.records.length)),
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`{"address":"127.0.0.1:${port}","msg":"empty server ready"}\n`);
});
