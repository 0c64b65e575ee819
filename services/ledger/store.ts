import { Binary, type Collection, type Db, MongoClient, type TransactionOptions } from 'mongodb';
import { type Uuid, uuidBytes, uuidFromBytes } from '../domain/uuid.js';
import type {
  ApiKeyDocument,
  ApplicationDocument,
  EventDocument,
  ExperienceDocument,
  GuardDocument,
  HistogramDocument,
  RepairDocument,
  RepricingDocument,
  ReservationDocument,
  RollupDocument,
  SchemaDocument,
  TypeDocument,
} from './documents.js';
import type { LimitDocument, LimitSumDocument } from './limit-fields.js';
import type { PriceDocument } from './price-fields.js';
import type {
  AnswerDocument,
  PartDocument,
  RunOutputDocument,
  StoredDocumentDocument,
  TurnDocument,
} from './state-documents.js';

/** MongoDB, with the concerns that every promise rests on: majority, journaled, read at the primary. */
export class Store {
  readonly client: MongoClient;
  readonly db: Db;
  readonly applications: Collection<ApplicationDocument>;
  readonly apiKeys: Collection<ApiKeyDocument>;
  readonly types: Collection<TypeDocument>;
  readonly experiences: Collection<ExperienceDocument>;
  readonly events: Collection<EventDocument>;
  readonly prices: Collection<PriceDocument>;
  readonly rollups: Collection<RollupDocument>;
  readonly histograms: Collection<HistogramDocument>;
  readonly guards: Collection<GuardDocument>;
  readonly repricings: Collection<RepricingDocument>;
  readonly repairs: Collection<RepairDocument>;
  readonly reservations: Collection<ReservationDocument>;
  readonly limits: Collection<LimitDocument>;
  readonly limitSums: Collection<LimitSumDocument>;
  readonly schema: Collection<SchemaDocument>;
  readonly documents: Collection<StoredDocumentDocument>;
  readonly documentParts: Collection<PartDocument>;
  readonly answers: Collection<AnswerDocument>;
  readonly turns: Collection<TurnDocument>;
  readonly runOutputs: Collection<RunOutputDocument>;

  constructor(uri: string, databaseName: string) {
    this.client = new MongoClient(uri, {
      appName: 'experiences',
      maxPoolSize: POOL_SIZE_MAX,
      serverSelectionTimeoutMS: SERVER_SELECTION_TIMEOUT_MS,
      connectTimeoutMS: CONNECT_TIMEOUT_MS,
      waitQueueTimeoutMS: WAIT_QUEUE_TIMEOUT_MS,
      socketTimeoutMS: SOCKET_TIMEOUT_MS,
      writeConcern: WRITE_CONCERN,
      readConcern: { level: 'majority' },
      readPreference: 'primary',
      retryReads: true,
      retryWrites: true,
      useBigInt64: true,
      ignoreUndefined: true,
    });
    this.db = this.client.db(databaseName);
    this.applications = this.db.collection('applications');
    this.apiKeys = this.db.collection('api_keys');
    this.types = this.db.collection('experience_types');
    this.experiences = this.db.collection('experiences');
    this.events = this.db.collection('events');
    this.prices = this.db.collection('prices');
    this.rollups = this.db.collection('rollups');
    this.histograms = this.db.collection('histograms');
    this.guards = this.db.collection('guards');
    this.repricings = this.db.collection('repricings');
    this.repairs = this.db.collection('repairs');
    this.reservations = this.db.collection('reservations');
    this.limits = this.db.collection('limits');
    this.limitSums = this.db.collection('limit_sums');
    this.schema = this.db.collection('schema');
    this.documents = this.db.collection('documents');
    this.documentParts = this.db.collection('document_parts');
    this.answers = this.db.collection('answers');
    this.turns = this.db.collection('turns');
    this.runOutputs = this.db.collection('run_outputs');
  }

  async close(): Promise<void> {
    await this.client.close();
  }
}

const COMMIT_TIME_MAX_MS = 10_000;
const WRITE_CONCERN = { w: 'majority', journal: true, wtimeoutMS: COMMIT_TIME_MAX_MS } as const;

/**
 * Also stated for each transaction: its settings override those of the client. A commit has its own time and not the
 * caller's: one that is cut off before it begins leaves its transaction open, and what it touched locked.
 */
export const TRANSACTION_OPTIONS: TransactionOptions = {
  readConcern: { level: 'snapshot' },
  writeConcern: WRITE_CONCERN,
  readPreference: 'primary',
  maxCommitTimeMS: COMMIT_TIME_MAX_MS,
};

const POOL_SIZE_MAX = 24;
const SERVER_SELECTION_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 3_000;
const WAIT_QUEUE_TIMEOUT_MS = 2_000;
const SOCKET_TIMEOUT_MS = 15_000;
/** For reads that no caller waits for with a deadline of its own. */
export const READ_TIME_MAX_MS = 10_000;

export function toBinary(uuid: Uuid): Binary {
  return new Binary(uuidBytes(uuid), Binary.SUBTYPE_UUID);
}

export function fromBinary(binary: Binary): Uuid {
  return uuidFromBytes(binary.buffer.subarray(0, 16));
}
