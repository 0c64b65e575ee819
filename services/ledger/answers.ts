import { createHash } from 'node:crypto';
import { Binary } from 'mongodb';
import type { Uuid } from '../domain/uuid.js';
import type { AnswerDocument } from './state-documents.js';
import { type Store, toBinary } from './store.js';
import { isDuplicateKey, unsettled, withStoreFaults } from './store-fault.js';
import { timeLeftMs } from './transaction.js';

/** Results of finished steps, by experience and operation key. The first one stays until its time is over. */
export class Answers {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Answers the result that is kept. */
  async put(
    application: string,
    experienceId: Uuid,
    operationKey: string,
    content: Uint8Array,
    deadline: number,
  ): Promise<{ readonly content: Uint8Array; readonly alreadyExisted: boolean }> {
    const _id = keyOf(application, experienceId, operationKey);
    for (let attempt = 0; attempt < PUT_ATTEMPTS_MAX; attempt += 1) {
      const u = new Date(Date.now() + ANSWER_KEPT_MS);
      const inserted = await withStoreFaults(() =>
        this.#insert({ _id, b: new Binary(content), u }, deadline),
      );
      if (inserted) return { content, alreadyExisted: false };
      const kept = await this.get(application, experienceId, operationKey, deadline);
      if (kept !== undefined) return { content: kept, alreadyExisted: true };
      // Its time is over, and the store has not removed it yet.
      const over = { _id, u: { $lte: new Date() } };
      await withStoreFaults(() => this.#store.answers.deleteOne(over, { maxTimeMS: timeLeftMs(deadline) }));
    }
    throw unsettled(new Error('an answer comes and goes'));
  }

  async get(
    application: string,
    experienceId: Uuid,
    operationKey: string,
    deadline: number,
  ): Promise<Uint8Array | undefined> {
    const _id = keyOf(application, experienceId, operationKey);
    const document = await withStoreFaults(() =>
      this.#store.answers.findOne({ _id }, { maxTimeMS: timeLeftMs(deadline) }),
    );
    return document === null || document.u <= new Date() ? undefined : document.b.value();
  }

  async #insert(document: AnswerDocument, deadline: number): Promise<boolean> {
    try {
      await this.#store.answers.insertOne(document, { maxTimeMS: timeLeftMs(deadline) });
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }
}

function keyOf(application: string, experienceId: Uuid, operationKey: string): AnswerDocument['_id'] {
  const o = new Binary(createHash('sha256').update(operationKey).digest());
  return { a: application, x: toBinary(experienceId), o };
}

const ANSWER_KEPT_MS = 30 * 86_400_000;
const PUT_ATTEMPTS_MAX = 3;
