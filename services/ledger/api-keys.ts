import { Binary } from 'mongodb';
import type { ApiKey, Scope } from '../domain/api-key.js';
import { Fault } from '../domain/fault.js';
import type { ApiKeyDocument } from './documents.js';
import { apiKeyNotFound, applicationNotFound } from './not-found.js';
import type { Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, type Transaction, timeLeftMs } from './transaction.js';

/**
 * Keys of applications: of each only the hash of its secret is kept. A revoked key stays, so that nobody can revoke back to
 * a service that asks for no key.
 */
export class ApiKeys {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The key that the same request made within the last minutes gets the new secret: nobody may know the one before. */
  async create(
    application: string,
    key: NewApiKey,
    deadline: number,
  ): Promise<{ readonly key: ApiKey; readonly duplicate: boolean }> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      // Written, so that two that are created at once meet, and each counts the other.
      const { matchedCount } = await this.#store.applications.updateOne(
        { _id: application },
        { $inc: { kr: 1 } },
        transaction,
      );
      if (matchedCount === 0) throw applicationNotFound(application);
      const kept = await this.#store.apiKeys
        .find({ a: application }, { ...transaction, sort: NEWEST_FIRST })
        .toArray();
      const now = new Date();
      const made = kept.find(({ q }) => q !== undefined && q === key.requestId);
      if (made !== undefined) return { key: await this.#renew(made, key, now, transaction), duplicate: true };
      await this.#makeRoom(kept, key.scopes, transaction);
      const document: ApiKeyDocument = {
        _id: key.id,
        a: application,
        s: [...key.scopes],
        h: new Binary(key.secretHash),
        ...(key.description === '' ? {} : { ds: key.description }),
        ...(key.requestId === undefined ? {} : { q: key.requestId }),
        c: now,
      };
      await this.#store.apiKeys.insertOne(document, transaction);
      return { key: fromDocument(document), duplicate: false };
    });
  }

  /** Newest first. */
  async list(application: string, deadline: number): Promise<readonly ApiKey[]> {
    const options = { sort: NEWEST_FIRST, limit: KEYS_KEPT_MAX, maxTimeMS: timeLeftMs(deadline) };
    const documents = await withStoreFaults(() =>
      this.#store.apiKeys.find({ a: application }, options).toArray(),
    );
    return documents.map(fromDocument);
  }

  /** A revoked key stays as it is, so that the call can be repeated. */
  async revoke(application: string, id: string, deadline: number): Promise<ApiKey> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#store.apiKeys.findOne({ _id: id, a: application }, transaction);
      if (document === null) throw apiKeyNotFound(id);
      if (document.d !== undefined) return fromDocument(document);
      const revoked = { ...document, d: new Date() };
      await this.#store.apiKeys.updateOne({ _id: id }, { $set: { d: revoked.d } }, transaction);
      return fromDocument(revoked);
    });
  }

  /** By its id alone, which is all that a caller's key names. undefined: there is none. */
  async find(
    id: string,
    deadline: number,
  ): Promise<{ readonly key: ApiKey; readonly secretHash: Uint8Array } | undefined> {
    const options = { maxTimeMS: timeLeftMs(deadline) };
    const document = await withStoreFaults(() => this.#store.apiKeys.findOne({ _id: id }, options));
    return document === null ? undefined : { key: fromDocument(document), secretHash: document.h.buffer };
  }

  /** Whether there has ever been a key of any application. */
  async anyExists(deadline: number): Promise<boolean> {
    const options = { projection: { _id: 1 }, maxTimeMS: timeLeftMs(deadline) };
    return (await withStoreFaults(() => this.#store.apiKeys.findOne({ _id: { $gt: '' } }, options))) !== null;
  }

  async #renew(made: ApiKeyDocument, key: NewApiKey, now: Date, transaction: Transaction): Promise<ApiKey> {
    const isSame = made.s.join() === key.scopes.join() && (made.ds ?? '') === key.description;
    if (!isSame || made.d !== undefined || now.getTime() - made.c.getTime() > RENEWABLE_MS) {
      throw new Fault(
        'API_KEY_ALREADY_EXISTS',
        `The request id made the key '${made._id}', which has other content, is revoked, or is no longer new.`,
        { metadata: { key_id: made._id } },
      );
    }
    await this.#store.apiKeys.updateOne(
      { _id: made._id },
      { $set: { h: new Binary(key.secretHash) } },
      transaction,
    );
    return fromDocument(made);
  }

  /** For one more of these scopes; the key that was revoked first goes when there are as many as are kept. */
  async #makeRoom(
    kept: readonly ApiKeyDocument[],
    scopes: readonly Scope[],
    transaction: Transaction,
  ): Promise<void> {
    const live = kept.filter(({ d, s }) => d === undefined && s.join() === scopes.join());
    if (live.length >= LIVE_KEYS_MAX) {
      const ids = live.map(({ _id }) => _id).join(',');
      throw new Fault(
        'APPLICATION_FULL',
        `The application has ${LIVE_KEYS_MAX} live keys of these scopes already (${ids}); revoke one of them first.`,
        { metadata: { key_ids: ids } },
      );
    }
    if (kept.length < KEYS_KEPT_MAX) return;
    const [oldest] = kept
      .flatMap(({ _id, d }) => (d === undefined ? [] : [{ _id, d }]))
      .sort((a, b) => a.d.getTime() - b.d.getTime());
    if (oldest !== undefined) await this.#store.apiKeys.deleteOne({ _id: oldest._id }, transaction);
  }
}

export interface NewApiKey {
  readonly id: string;
  readonly scopes: readonly Scope[];
  readonly description: string;
  readonly secretHash: Uint8Array;
  readonly requestId: string | undefined;
}

function fromDocument({ _id, a, s, ds, c, d }: ApiKeyDocument): ApiKey {
  return { id: _id, application: a, scopes: s, description: ds ?? '', createTime: c, revokeTime: d };
}

const NEWEST_FIRST = { c: -1, _id: -1 } as const;
/** The one that is used, and the one that takes its place. */
const LIVE_KEYS_MAX = 2;
/** More than can be live at once, with all combinations of scopes. */
const KEYS_KEPT_MAX = 100;
/** Longer than a client tries; shorter than a key takes to be rolled out. */
const RENEWABLE_MS = 10 * 60_000;
