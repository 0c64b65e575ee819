import { type ExperiencesClient, ExperiencesError, type RecordResult } from '../../client/index.js';
import { HttpFault } from '../http-fault.js';
import type { toUsageRecord } from './ingest-event.js';
import { type IngestKey, isUncertain } from './ingest-key.js';

/** An event of many that is ready to be recorded. */
export interface BulkItem {
  readonly record: ReturnType<typeof toUsageRecord>;
  readonly experienceProperties: Readonly<Record<string, string>>;
  /** undefined: there is nothing to be said. */
  readonly scopeWarning: string | undefined;
}

/** What became of it: recorded, unless there is an error. */
export interface RecordedItem {
  readonly item: BulkItem;
  /** undefined: it belongs to none. */
  readonly experienceId: string | undefined;
  readonly error: ExperiencesError | HttpFault | undefined;
}

/**
 * Records in messages that the service takes, one after the other. Throws when all failed alike and may be sent again as it
 * is: nothing was recorded, or the caller's own key makes it count once. Else a message that failed fails its events.
 */
export async function recordItems(
  client: ExperiencesClient,
  items: readonly BulkItem[],
  key: IngestKey,
  isTimeLeft: () => boolean,
): Promise<readonly RecordedItem[]> {
  const recorded: RecordedItem[] = [];
  for (const message of inMessages(items)) {
    const results = isTimeLeft() ? await recordMessage(client, message) : outOfTime();
    if (results instanceof ExperiencesError) {
      const isNothingDone = recorded.length === 0 && !isUncertain(results);
      if (key.isCallers || isNothingDone) throw results;
    }
    for (const [index, item] of message.entries()) {
      const { ack, error } = results instanceof Error ? { error: results } : resultAt(results, index);
      recorded.push({ item, experienceId: ack?.experienceId, error });
    }
  }
  return recorded;
}

/** Those of a message that was not sent are not recorded, for sure. */
function outOfTime(): HttpFault {
  const message = 'The request took too long: this event was not recorded.';
  return new HttpFault(503, 'request_processing_error', message);
}

async function recordMessage(
  client: ExperiencesClient,
  message: readonly BulkItem[],
): Promise<readonly RecordResult[] | ExperiencesError> {
  try {
    const records = message.map(({ record }) => record);
    return (await client.usage.recordBatch(records, { refuseBlockingLimits: true })).results;
  } catch (error) {
    if (error instanceof ExperiencesError) return error;
    throw error;
  }
}

function resultAt(results: readonly RecordResult[], index: number): RecordResult {
  const result = results[index];
  if (result === undefined) throw new Error('the service answered fewer results than it got records');
  return result;
}

/** As JSON a record is longer than as a message. */
function* inMessages(items: readonly BulkItem[]): Generator<readonly BulkItem[]> {
  let message: BulkItem[] = [];
  let bytes = 0;
  for (const item of items) {
    const itemBytes = Buffer.byteLength(JSON.stringify(item.record));
    if (message.length > 0 && bytes + itemBytes > MESSAGE_BYTES_MAX) {
      yield message;
      [message, bytes] = [[], 0];
    }
    message.push(item);
    bytes += itemBytes;
  }
  if (message.length > 0) yield message;
}

/** Of the 1 MiB that the service takes. */
const MESSAGE_BYTES_MAX = 768 * 1024;
