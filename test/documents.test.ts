import { createHash, randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ExperiencesClient } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const documents = contract.DocumentService.service;
const PART = 262_144;
const MEBIBYTE = 1_048_576;

let service: TestService;
let client: ExperiencesClient;
let raw: RawClient;
const mongo = new MongoClient(inject('mongodbUri'));
beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  raw = new RawClient(service.address);
});
afterAll(async () => {
  raw.close();
  await service.stop();
  await mongo.close();
});

/** Text of so many bytes, no part of it like another. */
function text(bytes: number): Buffer {
  return Buffer.from(
    randomBytes(Math.ceil(bytes / 2))
      .toString('hex')
      .slice(0, bytes),
  );
}

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

async function begun(): Promise<string> {
  return (await raw.call(documents.CreateDocument, {})).document?.documentId ?? '';
}

async function append(documentId: string, part: number, content: Buffer | string): Promise<number> {
  const request = { documentId, offset: String(part * PART), content: Buffer.from(content) };
  return Number((await raw.call(documents.AppendDocument, request)).sizeBytes);
}

async function commit(documentId: string, content: Buffer | string) {
  const bytes = Buffer.from(content);
  const request = { documentId, sizeBytes: String(bytes.length), sha256: sha256(bytes) };
  return (await raw.call(documents.CommitDocument, request)).document;
}

async function readBytes(
  documentId: string,
  range: { offset?: number; length?: number } = {},
): Promise<Buffer> {
  return Buffer.concat(await readAll(client.documents.read(documentId, range)));
}

function refused(reason: string, metadata: Readonly<Record<string, string>> = {}) {
  return { code: reason === 'DOCUMENT_NOT_FOUND' ? 'NOT_FOUND' : 'FAILED_PRECONDITION', reason, metadata };
}

describe('an upload', () => {
  test('of 12 MiB is read as it was sent, in parts of 256 KiB, and any range of it', async () => {
    const content = text(12 * MEBIBYTE + 5);
    const document = await client.documents.upload(content, { name: 'report.txt' });
    expect(document).toMatchObject({
      name: 'report.txt',
      sizeBytes: 12_582_917,
      committed: true,
      sha256: sha256(content),
      partSizeBytes: 262_144,
    });
    expect(document.expireTime.getTime() - document.createTime.getTime()).toBe(2_592_000_000); // 30 days.
    expect(await client.documents.get(document.documentId)).toEqual(document);
    const parts = await readAll(client.documents.read(document.documentId));
    expect(parts.map(({ length }) => length)).toEqual([...Array.from({ length: 48 }, () => 262_144), 5]);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    const ranges = [
      { offset: 0, length: 1 },
      { offset: PART - 1, length: 2 },
      { offset: PART, length: PART },
      { offset: 5 * PART + 17, length: 3 * PART },
      { offset: 12 * MEBIBYTE, length: 1_000 },
      { offset: 12 * MEBIBYTE + 5 },
    ];
    for (const { offset, length } of ranges) {
      const read = await readBytes(document.documentId, { offset, ...(length && { length }) });
      expect(read.equals(content.subarray(offset, length && offset + length))).toBe(true);
    }
  });

  test('that was cut goes on where it stopped, and again it answers the document', async () => {
    const content = text(2 * MEBIBYTE);
    const documentId = newUuid();
    await raw.call(documents.CreateDocument, { documentId });
    await append(documentId, 0, content.subarray(0, 3 * PART));
    await append(documentId, 3, content.subarray(3 * PART, 3 * PART + 100)); // Ended within a part.
    expect(await client.documents.get(documentId)).toMatchObject({
      sizeBytes: 786_532,
      committed: false,
      sha256: undefined,
    });
    const document = await client.documents.upload(content, { documentId });
    expect(document).toMatchObject({ documentId, sizeBytes: 2_097_152, committed: true });
    expect((await readBytes(documentId)).equals(content)).toBe(true);
    expect(await client.documents.upload(content, { documentId })).toEqual(document);
  });

  test('in any order, with parts sent again or replaced, counts the bytes without a gap', async () => {
    const content = text(2 * PART + 10);
    const documentId = await begun();
    expect(await append(documentId, 2, content.subarray(2 * PART))).toBe(0);
    expect(await append(documentId, 0, text(PART))).toBe(262_144);
    await expect(commit(documentId, content)).rejects.toMatchObject(
      refused('DOCUMENT_MISMATCH', { mismatch: 'missing_parts' }),
    );
    expect(await append(documentId, 0, content.subarray(0, 2 * PART))).toBe(524_298);
    expect(await append(documentId, 0, content.subarray(0, 2 * PART))).toBe(524_298);
    expect(await commit(documentId, content)).toMatchObject({ committed: true, sizeBytes: '524298' });
    expect((await readBytes(documentId)).equals(content)).toBe(true);
  });
});

describe('a commit', () => {
  test.each<[what: string, content: Buffer | string, stated: object, mismatch: string]>([
    ['another size', 'text', { sizeBytes: '5' }, 'size'],
    ['another hash', 'text', { sha256: sha256('else') }, 'sha256'],
    ['a text that ends within a character', Buffer.from('€').subarray(0, 2), {}, 'encoding'],
    ['bytes that are no UTF-8', Buffer.of(0x61, 0xff), {}, 'encoding'],
    ['control characters of binary data', 'a\u0000b', {}, 'encoding'],
    ['white space only', ' \n\t ', {}, 'encoding'],
    ['a part after the first that is not full', 'text', { also: true }, 'missing_parts'],
  ])('of %s is refused, and the document can be mended', async (_what, content, stated, mismatch) => {
    const documentId = await begun();
    const bytes = Buffer.from(content);
    await append(documentId, 0, bytes);
    if ('also' in stated) await append(documentId, 1, 'more');
    const request = { documentId, sizeBytes: String(bytes.length), sha256: sha256(bytes), ...stated };
    await expect(raw.call(documents.CommitDocument, request)).rejects.toMatchObject(
      refused('DOCUMENT_MISMATCH', { mismatch }),
    );
    const mended =
      'also' in stated ? Buffer.concat([text(PART), Buffer.from('more')]) : Buffer.from('mended');
    await append(documentId, 0, mended.subarray(0, PART));
    expect(await commit(documentId, mended)).toMatchObject({ committed: true });
  });

  test('again answers the document; with another hash, or an append after it, is refused', async () => {
    const documentId = await begun();
    await append(documentId, 0, 'text');
    const document = await commit(documentId, 'text');
    expect(await commit(documentId, 'text')).toEqual(document);
    await expect(commit(documentId, 'else')).rejects.toMatchObject(
      refused('DOCUMENT_MISMATCH', { mismatch: 'sha256' }),
    );
    await expect(append(documentId, 0, 'else')).rejects.toMatchObject(refused('DOCUMENT_COMMITTED'));
    await expect(append(documentId, 1, 'else')).rejects.toMatchObject(refused('DOCUMENT_COMMITTED'));
    expect(await client.documents.readText(documentId)).toBe('text');
  });

  test('takes a character that lies across two parts, and a range that cuts it is no text', async () => {
    const content = `${'a'.repeat(PART - 1)}€b`;
    const { documentId } = await client.documents.upload(content);
    expect(await client.documents.readText(documentId)).toBe(content);
    expect(await client.documents.readText(documentId, PART - 1, 3)).toBe('€');
    await expect(client.documents.readText(documentId, PART, 3)).rejects.toThrow(TypeError);
  });

  test('keeps what it has looked at, whatever is appended in the meantime', async () => {
    const contents = [text(4 * PART), text(4 * PART)];
    for (let round = 0; round < 5; round += 1) {
      const documentId = await begun();
      const [first = Buffer.of(), other = Buffer.of()] = contents;
      await append(documentId, 0, first.subarray(0, 3 * PART));
      await append(documentId, 3, first.subarray(3 * PART));
      const [committed] = await Promise.allSettled([
        commit(documentId, first),
        append(documentId, 2, other.subarray(2 * PART, 3 * PART)),
        append(documentId, 1, other.subarray(PART, 2 * PART)),
      ]);
      if (committed.status === 'rejected') {
        expect(committed.reason).toMatchObject(refused('DOCUMENT_MISMATCH', { mismatch: 'sha256' }));
      } else expect((await readBytes(documentId)).equals(first)).toBe(true);
    }
  });
});

describe('a document', () => {
  test('is created once: again with the same content it is answered, with other content refused', async () => {
    const documentId = newUuid();
    const request = {
      documentId: documentId.toUpperCase(),
      name: 'a',
      retention: { seconds: '60', nanos: 0 },
    };
    const first = await raw.call(documents.CreateDocument, request);
    expect(first).toMatchObject({ alreadyExisted: false, document: { documentId, sizeBytes: '0' } });
    expect(await raw.call(documents.CreateDocument, request)).toEqual({ ...first, alreadyExisted: true });
    for (const other of [{ name: 'b' }, { retention: null }]) {
      await expect(raw.call(documents.CreateDocument, { ...request, ...other })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'DOCUMENT_ALREADY_EXISTS',
      });
    }
  });

  test('that is not complete is not read', async () => {
    const documentId = await begun();
    await append(documentId, 0, 'text');
    await expect(readBytes(documentId)).rejects.toMatchObject(refused('DOCUMENT_NOT_COMMITTED'));
  });

  test('is deleted with its content, once', async () => {
    const { documentId } = await client.documents.upload(text(3 * PART));
    expect(await client.documents.delete(documentId)).toEqual({ existed: true });
    expect(await client.documents.delete(documentId)).toEqual({ existed: false });
    await expectGone(documentId, 'text');
    expect(await partsOf(documentId)).toBe(0);
  });

  test('whose time is over is gone before the store removes it, and its id is free', async () => {
    const { documentId } = await client.documents.upload('text', { retentionMs: 60_000 });
    // An hour would be too long to wait for: its time is moved instead.
    const { databaseName } = service.options;
    const kept = mongo.db(databaseName).collection('documents');
    const { modifiedCount } = await kept.updateMany({ h: sha256('text'), u: { $lt: inAnHour() } }, [
      { $set: { u: { $add: ['$c', 1] } } },
    ]);
    expect(modifiedCount).toBe(1);
    await expectGone(documentId, 'text');
    expect((await client.documents.upload('else', { documentId })).sizeBytes).toBe(4);
    expect(await client.documents.readText(documentId)).toBe('else');
  });

  test('of another application is as if it did not exist', async () => {
    const { documentId } = await client.documents.upload('mine alone');
    const kept = mongo.db(service.options.databaseName).collection<{ _id: { a: string } }>('documents');
    const document = await kept.findOne({ h: sha256('mine alone') });
    if (document === null) throw new Error('it was uploaded');
    await kept.deleteOne({ _id: document._id });
    await kept.insertOne({ ...document, _id: { ...document._id, a: 'other' } });
    await expectGone(documentId, 'mine alone');
    expect(await kept.countDocuments({ '_id.a': 'other' })).toBe(1);
  });

  test('has an end by itself: the store removes documents, parts, answers and outputs at their times', async () => {
    const db = mongo.db(service.options.databaseName);
    const ends = async (name: string) =>
      (await db.collection(name).indexes())
        .filter(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)
        .map(({ key, expireAfterSeconds }) => ({ key, expireAfterSeconds }));
    expect(await ends('documents')).toEqual([{ key: { u: 1 }, expireAfterSeconds: 0 }]);
    expect(await ends('document_parts')).toEqual([{ key: { u: 1 }, expireAfterSeconds: 0 }]);
    expect(await ends('answers')).toEqual([{ key: { u: 1 }, expireAfterSeconds: 0 }]);
    expect(await ends('run_outputs')).toEqual([{ key: { c: 1 }, expireAfterSeconds: 900 }]);
  });

  async function expectGone(documentId: string, content: string): Promise<void> {
    const gone = refused('DOCUMENT_NOT_FOUND', { document_id: documentId });
    await expect(client.documents.get(documentId)).rejects.toMatchObject(gone);
    await expect(readBytes(documentId)).rejects.toMatchObject(gone);
    await expect(append(documentId, 0, content)).rejects.toMatchObject(gone);
    await expect(commit(documentId, content)).rejects.toMatchObject(gone);
    expect(await client.documents.delete(documentId)).toEqual({ existed: false });
  }

  async function partsOf(documentId: string): Promise<number> {
    const parts = await mongo
      .db(service.options.databaseName)
      .collection('document_parts')
      .find({})
      .toArray();
    return parts.filter(({ _id }) => String((_id as unknown as { d: unknown }).d) === documentId).length;
  }
});

test('an application is full when its documents have 20 GiB together, or are 10,000', async () => {
  const full = await startTestService();
  const kept = mongo.db(full.options.databaseName).collection<{ _id: object; z: number }>('documents');
  const filler = { c: new Date(), u: inAnHour(), p: {}, r: 0 };
  const bytes = 20 * 1_073_741_824;
  await kept.insertOne({ _id: { a: 'default', d: 0 }, ...filler, z: bytes - 4 });
  await expect(full.client.documents.upload('five5')).rejects.toMatchObject({ reason: 'APPLICATION_FULL' });
  expect((await full.client.documents.upload('four')).sizeBytes).toBe(4);
  await kept.updateOne({ _id: { a: 'default', d: 0 } }, { $set: { z: 0 } });
  const many = Array.from({ length: 9_996 }, (_, d) => ({
    _id: { a: 'default', d: d + 1 },
    ...filler,
    z: 0,
  }));
  await kept.insertMany(many);
  expect((await full.client.documents.upload('last')).sizeBytes).toBe(4);
  await expect(full.client.documents.upload('more')).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'APPLICATION_FULL',
  });
  await full.stop();
}, 60_000);

function inAnHour(): Date {
  return new Date(Date.now() + 3_600_000);
}
