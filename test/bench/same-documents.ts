import { BSON, MongoClient } from 'mongodb';
import { contract } from '../../services/contract/contract.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { EventDocument } from '../../services/ledger/documents.js';
import { toBinary } from '../../services/ledger/store.js';
import { benchState } from './bench-documents.js';
import { benchRecord, EVENTS_OF_EXPERIENCE, toWireRecord } from './bench-record.js';
import { documentPatterns } from './insert-load.js';
import { benchClient, callBytes } from './record-sender.js';

/**
 * Whether the documents that the driver alone inserts are byte for byte those that the service writes for the same
 * records, under the same ids, times and hashes.
 */
export async function sameDocuments(
  address: string,
  uri: string,
  databaseName: string,
  driverDatabase: string,
): Promise<ComparedDocuments> {
  const ids = Array.from({ length: EVENTS_OF_EXPERIENCE }, () => newUuid());
  const experienceId = newUuid();
  const { RecordUsage } = contract.UsageService.service;
  const grpc = benchClient(address);
  let freshCost = BigInt(0);
  for (const [index, id] of ids.entries()) {
    freshCost += benchRecord(index).cost;
    const record = toWireRecord(benchRecord(index), id, experienceId);
    await callBytes(grpc, RecordUsage.path, RecordUsage.requestSerialize({ record }));
  }
  grpc.close();
  const patterns = documentPatterns(await benchState(uri, driverDatabase));
  const recorded = { freshRecords: ids.length, freshCost, duplicates: 0 };
  const client = new MongoClient(uri);
  try {
    const events = client.db(databaseName).collection<EventDocument>('events', { raw: true });
    for (const [index, id] of ids.entries()) {
      const stored = (await events.findOne({ _id: { a: 'default', e: toBinary(id) } })) as unknown;
      const pattern = patterns[index];
      if (!(stored instanceof Uint8Array) || pattern === undefined) return { ...recorded, isSame: false };
      const { _id, h, r, q } = BSON.deserialize(stored, { promoteValues: false });
      const expected = BSON.serialize({ ...pattern, _id, h, r, q, x: toBinary(experienceId) });
      if (!Buffer.from(stored).equals(expected)) return { ...recorded, isSame: false };
    }
    return { ...recorded, isSame: true };
  } finally {
    await client.close();
  }
}

export interface ComparedDocuments {
  readonly isSame: boolean;
  /** What was recorded for it. */
  readonly freshRecords: number;
  readonly freshCost: bigint;
  readonly duplicates: number;
}
