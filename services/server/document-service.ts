import type { DocumentServiceHandlers } from '../contract/generated/experiences/v1/DocumentService.js';
import type { StoredDocument as WireDocument } from '../contract/generated/experiences/v1/StoredDocument.js';
import type { Duration__Output } from '../contract/generated/google/protobuf/Duration.js';
import {
  APPEND_BYTES_MAX,
  DOCUMENT_PART_BYTES,
  STORED_DOCUMENT_BYTES_MAX,
  type StoredDocument,
} from '../domain/document.js';
import { newUuid } from '../domain/new-uuid.js';
import { DOCUMENT_NAME_LENGTH_MAX } from '../domain/run.js';
import { shortTextRule, shown } from '../domain/text-rules.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';
import { documentNotFound } from '../ledger/not-found.js';
import type { Handlers } from './handler.js';
import { RequestCheck } from './request-check.js';
import { toWireTime } from './to-wire.js';

export function documentService(ledger: Ledger, handlers: Handlers): DocumentServiceHandlers {
  return {
    CreateDocument: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const id = request.documentId === '' ? newUuid() : parseUuid(request.documentId);
      if (id === undefined) check.bad('document_id', 'must be a UUID');
      const name = check.optional('name', request.name, shortTextRule(DOCUMENT_NAME_LENGTH_MAX));
      const retentionMs = fromWireRetention(request.retention, check);
      check.done();
      if (id === undefined) throw new Error('a request without an id does not pass its check');
      const created = await ledger.documents.create(application, { id, name, retentionMs }, deadline);
      return { document: toWireDocument(created.document), alreadyExisted: created.alreadyExisted };
    }),

    AppendDocument: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const { content } = request;
      const offset = Number(check.count('offset', request.offset, BigInt(STORED_DOCUMENT_BYTES_MAX)));
      if (offset % DOCUMENT_PART_BYTES !== 0)
        check.bad('offset', `must be a multiple of ${DOCUMENT_PART_BYTES}`);
      if (content.length === 0) check.bad('content', 'is required');
      else if (content.length > APPEND_BYTES_MAX)
        check.bad('content', `has ${content.length} bytes, more than ${APPEND_BYTES_MAX}`);
      else if (offset + content.length > STORED_DOCUMENT_BYTES_MAX)
        check.bad('content', `ends beyond ${STORED_DOCUMENT_BYTES_MAX}, the most that a document has`);
      const id = checkedDocumentId(request.documentId, check);
      const sizeBytes = await ledger.documents.append(application, id, { offset, content }, deadline);
      return { sizeBytes: String(sizeBytes) };
    }),

    CommitDocument: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const max = BigInt(STORED_DOCUMENT_BYTES_MAX);
      const sizeBytes = Number(check.count('size_bytes', request.sizeBytes, max));
      if (sizeBytes === 0) check.bad('size_bytes', 'is required');
      const sha256 = check.required('sha256', request.sha256, SHA256_RULE).toLowerCase();
      const id = checkedDocumentId(request.documentId, check);
      const document = await ledger.documents.commit(application, id, { sizeBytes, sha256 }, deadline);
      return { document: toWireDocument(document) };
    }),

    ReadDocument: handlers.stream(async (request, { application, deadline, signal, send }) => {
      const check = new RequestCheck();
      const from = Number(check.count('offset', request.offset, INT64_MAX));
      const length = Number(check.count('length', request.length, INT64_MAX));
      const id = checkedDocumentId(request.documentId, check);
      const document = await ledger.documents.read(application, id, deadline);
      if (from > document.sizeBytes)
        check.bad('offset', `is beyond the end of the document, ${document.sizeBytes}`);
      check.done();
      const to = length === 0 ? document.sizeBytes : Math.min(document.sizeBytes, from + length);
      let offset = from;
      for await (const content of document.content({ from, to }, () => Date.now() + PART_TIME_MAX_MS)) {
        if (signal.aborted) return;
        await send({ offset: String(offset), content });
        offset += content.length;
      }
    }),

    GetDocument: handlers.unary(async (request, { application, deadline }) => {
      const id = checkedDocumentId(request.documentId, new RequestCheck());
      return { document: toWireDocument(await ledger.documents.get(application, id, deadline)) };
    }),

    DeleteDocument: handlers.unary(async (request, { application, deadline }) => {
      const id = checkedDocumentId(request.documentId, new RequestCheck());
      return { existed: await ledger.documents.delete(application, id, deadline) };
    }),
  };
}

/** What is no UUID names nothing. Ends the check. */
function checkedDocumentId(text: string, check: RequestCheck): Uuid {
  if (text === '') check.bad('document_id', 'is required');
  check.done();
  const id = parseUuid(text);
  if (id === undefined) throw documentNotFound(shown(text));
  return id;
}

function fromWireRetention(wire: Duration__Output | null, check: RequestCheck): number {
  if (wire === null) return RETENTION_DEFAULT_MS;
  const milliseconds = Number(wire.seconds) * 1_000 + Math.floor(wire.nanos / 1_000_000);
  if (milliseconds < RETENTION_MIN_MS || milliseconds > RETENTION_MAX_MS)
    check.bad('retention', 'must be from 1 minute to 365 days');
  return milliseconds;
}

function toWireDocument(document: StoredDocument): WireDocument {
  return {
    documentId: document.id,
    name: document.name ?? '',
    sizeBytes: String(document.sizeBytes),
    committed: document.sha256 !== undefined,
    sha256: document.sha256 ?? '',
    partSizeBytes: DOCUMENT_PART_BYTES,
    createTime: toWireTime(document.createTime),
    expireTime: toWireTime(document.expireTime),
  };
}

const SHA256_RULE = (text: string) =>
  /^[0-9a-fA-F]{64}$/.test(text) ? undefined : 'must be 64 hexadecimal digits';
const INT64_MAX = 2n ** 63n - 1n;
const DAY_MS = 86_400_000;
const RETENTION_MIN_MS = 60_000;
const RETENTION_DEFAULT_MS = 30 * DAY_MS;
const RETENTION_MAX_MS = 365 * DAY_MS;
const PART_TIME_MAX_MS = 10_000;
