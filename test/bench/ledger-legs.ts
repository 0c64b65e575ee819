import { EVENTS_OF_EXPERIENCE } from './bench-record.js';
import type { BenchServer } from './bench-stack.js';
import type { LedgerSizes } from './ledger-sizes.js';
import type { Leg } from './leg.js';
import type { MessageShape } from './request-template.js';

/** The loads of the ledger suite, in the order of a round: those that are compared are neighbours. */
export function ledgerLegs(options: {
  readonly uri: string;
  readonly driverDatabase: string;
  readonly service: BenchServer;
  readonly empty: BenchServer;
  readonly sizes: LedgerSizes;
}): readonly Leg[] {
  const { service, empty, sizes } = options;
  const { legSeconds: seconds } = sizes;
  const recording = (
    name: string,
    title: string,
    server: BenchServer,
    shape: Partial<MessageShape> & Pick<MessageShape, 'call' | 'records'>,
    inFlight: number,
  ): Leg => ({
    name,
    title,
    isCompared: COMPARED.has(name),
    server,
    work: () => ({
      kind: 'record',
      address: server.address,
      shape: { eventsOfExperience: EVENTS_OF_EXPERIENCE, resentOfTen: 0, ...shape },
      inFlight,
      connections: shape.call === 'batch' ? BATCH_CONNECTIONS : 1,
      seconds,
    }),
  });
  const unary = { call: 'unary', records: 1 } as const;
  const batch = { call: 'batch', records: 1_000 } as const;
  return [
    recording('emptyUnary64', 'empty handler, RecordUsage, 64 in flight', empty, unary, 64),
    recording('unary64', 'RecordUsage, 64 in flight', service, unary, 64),
    recording('unary16', 'RecordUsage, 16 in flight', service, unary, 16),
    recording('unary1', 'RecordUsage, 1 in flight', service, unary, 1),
    recording('stream', 'StreamUsage, messages of 500, 8 in flight', service, STREAM, 8),
    {
      name: 'rawInsert',
      title: 'driver alone, insertMany of 500, 2 connections',
      isCompared: true,
      server: undefined,
      work: () => ({
        kind: 'insert',
        uri: options.uri,
        databaseName: options.driverDatabase,
        documentsMax: Math.ceil(RAW_PER_SECOND_MAX * seconds),
        seconds,
      }),
    },
    recording('batch1000', 'BatchRecordUsage of 1,000, 4 in flight', service, batch, 4),
    recording('emptyBatch1000', 'empty handler, batches of 1,000, 4 in flight', empty, batch, 4),
    recording('batch100', 'batches of 100, 8 in flight', service, { ...batch, records: 100 }, 8),
    recording('batchOneEach', 'batches of 1,000, 1 event an experience', service, ONE_EACH, 4),
    recording(
      'batchHot',
      'batches of 1,000, one hot experience',
      service,
      { ...batch, eventsOfExperience: Number.POSITIVE_INFINITY },
      4,
    ),
    recording('batchResent', 'batches of 1,000, 30 % sent again', service, { ...batch, resentOfTen: 3 }, 4),
    recording(
      'batchOperations',
      'batches of 1,000, with operations',
      service,
      { ...batch, operations: true },
      4,
    ),
  ];
}

const COMPARED = new Set(['emptyUnary64', 'unary64', 'stream', 'batch1000']);
const STREAM = { call: 'stream', records: 500 } as const;
const ONE_EACH = { call: 'batch', records: 1_000, eventsOfExperience: 1 } as const;
/** As many as the driver alone uses. */
const BATCH_CONNECTIONS = 2;
/** Documents are made before the clock starts; a machine that takes more than these ends its round early. */
const RAW_PER_SECOND_MAX = 80_000;
