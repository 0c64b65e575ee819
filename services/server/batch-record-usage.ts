import type { BatchRecordUsageRequest__Output } from '../contract/generated/experiences/v1/BatchRecordUsageRequest.js';
import { Fault } from '../domain/fault.js';
import { fromAttributionMetadata } from './attribution-metadata.js';
import { fromWireView } from './from-wire.js';
import type { CallContext } from './handler.js';
import { isPassing } from './item-batch.js';
import { recordBatch, toWireRecordResults, type WireRecordResults } from './record-batch.js';
import type { Recorder } from './recorder.js';
import { RequestCheck } from './request-check.js';

/** Fails as a whole only for its size, its metadata, or what befell every record that was good. */
export async function batchRecordUsage(
  recorder: Recorder,
  { records, view: wireView, refuseBlockingLimits }: BatchRecordUsageRequest__Output,
  { application, strictIds, metadata, deadline }: CallContext,
): Promise<WireRecordResults> {
  const check = new RequestCheck({ strictIds });
  if (records.length === 0) check.bad('records', 'is required');
  const view = fromWireView(wireView, check);
  const ofCall = fromAttributionMetadata(metadata, check);
  check.done();
  const batch = recordBatch(records, { strictIds, ofCall });
  const waiting = batch.waiting();
  if (waiting.length > 0) {
    const outcomes = await recorder.recordAll(application, waiting, deadline, {
      refusesBlockingLimits: refuseBlockingLimits,
    });
    const [first] = outcomes;
    const isLost = outcomes.every((outcome) => outcome instanceof Fault && isPassing(outcome));
    if (isLost && first instanceof Fault) throw first;
    batch.settle(outcomes);
  }
  return toWireRecordResults(batch, view);
}
