import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { backoffMs, type Channel, callUnary, isPassing, readStream } from './call.js';
import type { DocumentRange, DocumentUpload, StoredDocument } from './document-types.js';
import { fromWireStoredDocument } from './from-wire-run-state.js';
import { toWireWhole } from './to-wire.js';

const methods = contract.DocumentService.service;

/** Documents: UTF-8 texts up to 50 MiB, uploaded once and given to runs by their id. */
export class DocumentsClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Uploads and commits a document; the answer has its id. An upload that was cut goes on where it stopped when it is
   * called again with the same `documentId` and content, and answers the document when it was complete already.
   */
  async upload(content: string | Uint8Array, upload: DocumentUpload = {}): Promise<StoredDocument> {
    const bytes = Buffer.from(content);
    const documentId = upload.documentId ?? newUuid();
    const created = await callUnary(this.#channel, methods.CreateDocument, {
      documentId,
      name: upload.name ?? '',
      retention: upload.retentionMs === undefined ? null : toWireDuration(upload.retentionMs),
    });
    const document = fromWireStoredDocument(created.document);
    if (!document.committed) await this.#append(document, bytes);
    const committed = await callUnary(this.#channel, methods.CommitDocument, {
      documentId,
      sizeBytes: String(bytes.length),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    return fromWireStoredDocument(committed.document);
  }

  async get(documentId: string): Promise<StoredDocument> {
    return fromWireStoredDocument(
      (await callUnary(this.#channel, methods.GetDocument, { documentId })).document,
    );
  }

  /**
   * A range of a committed document in parts of at most 256 KiB, read as fast as they are taken. A read that is cut goes
   * on by itself; it throws when the service stays away for longer than a call may take.
   */
  async *read(documentId: string, range: DocumentRange = {}): AsyncGenerator<Uint8Array, void, undefined> {
    let offset = range.offset ?? 0;
    let left = range.length;
    let awaySince: number | undefined;
    for (let attempt = 1; left !== 0; ) {
      const request = {
        documentId,
        offset: toWireWhole('offset', offset),
        length: toWireWhole('length', left ?? 0),
      };
      try {
        for await (const { content } of readStream(this.#channel, methods.ReadDocument, request)) {
          awaySince = undefined;
          attempt = 1;
          offset += content.length;
          if (left !== undefined) left -= content.length;
          yield content;
        }
        return;
      } catch (error) {
        awaySince ??= Date.now();
        if (!isPassing(error) || Date.now() - awaySince > this.#channel.timeoutMs) throw error;
        await sleep(backoffMs(attempt, error));
        attempt += 1;
      }
    }
  }

  /**
   * A range as text, of as many UTF-8 bytes as the range has. Throws a TypeError when it begins or ends within a
   * character: see `read` for the bytes.
   */
  async readText(documentId: string, offset = 0, length?: number): Promise<string> {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let text = '';
    for await (const part of this.read(documentId, length === undefined ? { offset } : { offset, length })) {
      text += decoder.decode(part, { stream: true });
    }
    return text + decoder.decode();
  }

  /** For good, with its content. */
  async delete(documentId: string): Promise<{ readonly existed: boolean }> {
    return { existed: (await callUnary(this.#channel, methods.DeleteDocument, { documentId })).existed };
  }

  /** From where the service has it without a gap. */
  async #append({ documentId, sizeBytes, partSizeBytes }: StoredDocument, bytes: Buffer): Promise<void> {
    const step = Math.floor(APPEND_BYTES_MAX / partSizeBytes) * partSizeBytes;
    const start = Math.floor(Math.min(sizeBytes, bytes.length) / partSizeBytes) * partSizeBytes;
    for (let offset = start; offset < bytes.length; offset += step) {
      const content = bytes.subarray(offset, offset + step);
      await callUnary(this.#channel, methods.AppendDocument, { documentId, offset: String(offset), content });
    }
  }
}

function toWireDuration(milliseconds: number): { seconds: string; nanos: number } {
  if (!Number.isFinite(milliseconds))
    throw new RangeError(`retentionMs must be a number, not ${milliseconds}`);
  const seconds = Math.floor(milliseconds / 1_000);
  return { seconds: String(seconds), nanos: Math.floor((milliseconds - seconds * 1_000) * 1_000_000) };
}

/** The most that the service takes in one call. */
const APPEND_BYTES_MAX = 768 * 1024;
