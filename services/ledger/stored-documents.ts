import { Binary, MaxKey } from 'mongodb';
import { DOCUMENT_PART_BYTES, type StoredDocument } from '../domain/document.js';
import { Fault } from '../domain/fault.js';
import type { Uuid } from '../domain/uuid.js';
import { contentOf, type DocumentContent } from './document-content.js';
import { documentNotFound } from './not-found.js';
import type { PartDocument, StoredDocumentDocument } from './state-documents.js';
import { fromBinary, type Store, toBinary } from './store.js';
import { unsettled, withStoreFaults } from './store-fault.js';
import { inTransaction, type Transaction, timeLeftMs } from './transaction.js';

/** Documents in the store: filled by appends, then committed. One whose time is over is as if it had never been. */
export class StoredDocuments {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The existing one when it has the same name and is kept as long. */
  async create(
    application: string,
    wanted: { readonly id: Uuid; readonly name: string | undefined; readonly retentionMs: number },
    deadline: number,
  ): Promise<{ readonly document: StoredDocument; readonly alreadyExisted: boolean }> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const now = new Date();
      const _id = keyOf(application, wanted.id);
      const existing = await this.#store.documents.findOne({ _id }, transaction);
      if (existing !== null && existing.u > now) {
        const same =
          existing.n === wanted.name && existing.u.getTime() - existing.c.getTime() === wanted.retentionMs;
        if (same) return { document: fromDocument(existing), alreadyExisted: true };
        throw new Fault(
          'DOCUMENT_ALREADY_EXISTS',
          `The document '${wanted.id}' exists with another name or another time.`,
          { metadata: { document_id: wanted.id } },
        );
      }
      await this.#checkRoom(application, { documents: 1, bytes: 0 }, now, transaction);
      const document: StoredDocumentDocument = {
        _id,
        ...(wanted.name === undefined ? {} : { n: wanted.name }),
        c: now,
        u: new Date(now.getTime() + wanted.retentionMs),
        z: 0,
        p: {},
        r: 0,
      };
      if (existing === null) await this.#store.documents.insertOne(document, transaction);
      else await this.#store.documents.replaceOne({ _id }, document, transaction);
      return { document: fromDocument(document), alreadyExisted: false };
    });
  }

  /**
   * Writes whole parts, from one that begins at the offset. A part that is there is replaced. Answers the bytes from the
   * start without a gap.
   */
  async append(
    application: string,
    id: Uuid,
    part: { readonly offset: number; readonly content: Uint8Array },
    deadline: number,
  ): Promise<number> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const now = new Date();
      const document = await this.#store.documents.findOne({ _id: keyOf(application, id) }, transaction);
      if (document === null || document.u <= now) throw documentNotFound(id);
      if (document.k === true) {
        throw new Fault('DOCUMENT_COMMITTED', `The document '${id}' is complete and never changes.`, {
          metadata: { document_id: id },
        });
      }
      const parts = partsOf(document, part);
      const p = { ...document.p };
      for (const { _id, b } of parts) p[_id.n] = b.length();
      const z = Object.values(p).reduce((sum, bytes) => sum + bytes, 0);
      if (z > document.z) {
        await this.#checkRoom(application, { documents: 0, bytes: z - document.z }, now, transaction);
      }
      await this.#store.documents.updateOne(
        { _id: document._id },
        { $set: { p, z }, $inc: { r: 1 } },
        transaction,
      );
      for (const { _id, ...rest } of parts) {
        await this.#store.documentParts.replaceOne({ _id }, rest, { ...transaction, upsert: true });
      }
      return gaplessBytes(p);
    });
  }

  /**
   * Completes a document that is what the caller says; a complete one is answered when it is that. What is read for it is
   * read without a transaction: an append in the meantime is seen by the revision.
   */
  async commit(
    application: string,
    id: Uuid,
    stated: DocumentContent,
    deadline: number,
  ): Promise<StoredDocument> {
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt += 1) {
      const document = await this.#live(application, id, deadline);
      if (document.k === true) {
        if (document.h !== stated.sha256) throw mismatch(id, 'sha256', 'has another SHA-256');
        if (document.z !== stated.sizeBytes) throw mismatch(id, 'size', `has ${document.z} bytes`);
        return fromDocument(document);
      }
      const size = gaplessBytes(document.p);
      if (size < document.z) {
        throw mismatch(id, 'missing_parts', `has a gap after ${size} bytes`);
      }
      if (size !== stated.sizeBytes) throw mismatch(id, 'size', `has ${size} bytes`);
      const content = await contentOf(this.#parts(document, { from: 0, to: size }, () => deadline));
      if (content.sizeBytes === size) {
        if (content.sha256 !== stated.sha256)
          throw mismatch(id, 'sha256', `has the SHA-256 ${content.sha256}`);
        if (content.problem !== undefined) throw mismatch(id, 'encoding', content.problem);
      }
      // Else an append has come between: the revision says so.
      const committed = await withStoreFaults(() =>
        this.#store.documents.findOneAndUpdate(
          { _id: document._id, r: document.r, k: { $exists: false } },
          { $set: { k: true, h: stated.sha256 } },
          { returnDocument: 'after', maxTimeMS: timeLeftMs(deadline) },
        ),
      );
      if (committed !== null) return fromDocument(committed);
    }
    throw unsettled(new Error('a document is appended to while it is committed'));
  }

  async get(application: string, id: Uuid, deadline: number): Promise<StoredDocument> {
    return fromDocument(await this.#live(application, id, deadline));
  }

  /** A committed document, and its bytes from an offset on; they are read as they are taken, a mebibyte ahead. */
  async read(
    application: string,
    id: Uuid,
    deadline: number,
  ): Promise<{
    readonly sizeBytes: number;
    content(range: ByteRange, partDeadline: () => number): AsyncGenerator<Uint8Array, void, undefined>;
  }> {
    const document = await this.#live(application, id, deadline);
    if (document.k !== true) {
      throw new Fault('DOCUMENT_NOT_COMMITTED', `The document '${id}' is not complete yet.`, {
        metadata: { document_id: id },
      });
    }
    return {
      sizeBytes: document.z,
      content: (range, partDeadline) => this.#parts(document, range, partDeadline),
    };
  }

  /** With its parts, at once; answers whether it was there. */
  async delete(application: string, id: Uuid, deadline: number): Promise<boolean> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const _id = keyOf(application, id);
      const document = await this.#store.documents.findOneAndDelete({ _id }, transaction);
      if (document === null) return false;
      const n = new MaxKey() as unknown as number; // After every number.
      await this.#store.documentParts.deleteMany(
        { _id: { $gte: { ..._id, n: 0 }, $lt: { ..._id, n } } },
        transaction,
      );
      return document.u > new Date();
    });
  }

  async #live(application: string, id: Uuid, deadline: number): Promise<StoredDocumentDocument> {
    const document = await withStoreFaults(() =>
      this.#store.documents.findOne({ _id: keyOf(application, id) }, { maxTimeMS: timeLeftMs(deadline) }),
    );
    if (document === null || document.u <= new Date()) throw documentNotFound(id);
    return document;
  }

  /** Few at a time and without a cursor: who takes them may be slow. */
  async *#parts(
    { _id, u }: StoredDocumentDocument,
    { from, to }: ByteRange,
    deadline: () => number,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const end = Math.ceil(to / DOCUMENT_PART_BYTES);
    for (let first = Math.floor(from / DOCUMENT_PART_BYTES); first < end; first += PARTS_READ_MAX) {
      const numbers = Array.from(
        { length: Math.min(PARTS_READ_MAX, end - first) },
        (_, index) => first + index,
      );
      const parts = await withStoreFaults(() =>
        this.#store.documentParts
          .find(
            { _id: { $in: numbers.map((n) => ({ ..._id, n })) } },
            { sort: { _id: 1 }, maxTimeMS: timeLeftMs(deadline()) },
          )
          .toArray(),
      );
      // Deleted, or over, while it was read.
      if (parts.length !== numbers.length || u <= new Date()) throw documentNotFound(fromBinary(_id.d));
      for (const part of parts) {
        const start = part._id.n * DOCUMENT_PART_BYTES;
        yield part.b.value().subarray(Math.max(0, from - start), to - start);
      }
    }
  }

  /** Calls at the same time do not see each other: together they may pass the bound by what they bring. */
  async #checkRoom(
    application: string,
    added: { readonly documents: number; readonly bytes: number },
    now: Date,
    transaction: Transaction,
  ): Promise<void> {
    const [kept = { n: 0, z: 0 }] = await this.#store.documents
      .aggregate<{ n: number; z: number }>(
        [
          { $match: { '_id.a': application, u: { $gt: now } } },
          { $group: { _id: null, n: { $sum: 1 }, z: { $sum: '$z' } } },
        ],
        { ...transaction, hint: 'by_application' },
      )
      .toArray();
    if (Number(kept.n) + added.documents > DOCUMENTS_MAX) {
      throw new Fault('APPLICATION_FULL', `An application has at most ${DOCUMENTS_MAX} documents.`);
    }
    if (Number(kept.z) + added.bytes > DOCUMENTS_BYTES_MAX) {
      const message = `The documents of an application have at most ${DOCUMENTS_BYTES_MAX} bytes together.`;
      throw new Fault('APPLICATION_FULL', message);
    }
  }
}

export interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

function keyOf(application: string, id: Uuid): StoredDocumentDocument['_id'] {
  return { a: application, d: toBinary(id) };
}

function fromDocument(document: StoredDocumentDocument): StoredDocument {
  return {
    id: fromBinary(document._id.d),
    name: document.n,
    sizeBytes: gaplessBytes(document.p),
    sha256: document.h,
    createTime: document.c,
    expireTime: document.u,
  };
}

function partsOf(
  { _id, u }: StoredDocumentDocument,
  { offset, content }: { readonly offset: number; readonly content: Uint8Array },
): PartDocument[] {
  const first = offset / DOCUMENT_PART_BYTES;
  const count = Math.ceil(content.length / DOCUMENT_PART_BYTES);
  return Array.from({ length: count }, (_, index) => {
    const start = index * DOCUMENT_PART_BYTES;
    const b = new Binary(content.subarray(start, start + DOCUMENT_PART_BYTES));
    return { _id: { ..._id, n: first + index }, b, u };
  });
}

/** From the start; a part that is not full ends it. */
function gaplessBytes(bytesByPart: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (let part = 0; ; part += 1) {
    const bytes = bytesByPart[part] ?? 0;
    sum += bytes;
    if (bytes < DOCUMENT_PART_BYTES) return sum;
  }
}

function mismatch(id: Uuid, what: 'missing_parts' | 'size' | 'sha256' | 'encoding', text: string): Fault {
  return new Fault('DOCUMENT_MISMATCH', `The document '${id}' ${text}.`, {
    metadata: { document_id: id, mismatch: what },
  });
}

const PARTS_READ_MAX = 4;
const COMMIT_ATTEMPTS_MAX = 5;
const DOCUMENTS_MAX = 10_000;
const DOCUMENTS_BYTES_MAX = 20 * 1024 ** 3;
