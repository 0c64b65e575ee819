import { timingSafeEqual } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';
import { type ApiKey, SCOPES, type Scope } from '../domain/api-key.js';
import { APPLICATION_DEFAULT, type Application, applicationIdRule } from '../domain/application.js';
import { CALLER_KEYS } from '../domain/caller-keys.js';
import { Fault } from '../domain/fault.js';
import { shown } from '../domain/text-rules.js';
import type { Ledger } from '../ledger/ledger.js';
import { applicationNotFound } from '../ledger/not-found.js';
import { parseKeyText, secretHash } from './key-text.js';
import type { MethodScopes } from './method-scopes.js';
import { RecentValues } from './recent-values.js';

/** Who calls. */
export interface Caller {
  /** Whose data its calls see. */
  readonly application: string;
  /** Whether the application would rather have an error than a fresh id for an experience id that is no UUID. */
  readonly strictIds: boolean;
  /** All that it may do. */
  readonly scopes: readonly Scope[];
  /** The bootstrap key names the application of each call, and may create applications. */
  readonly isBootstrap: boolean;
  /** No key was asked for. */
  readonly isAnonymous: boolean;
}

/**
 * Says who calls, by the metadata of the call alone, and what methods he may call. Without a bootstrap key, and as long as
 * there has never been a key, a call needs none and is of the application `default`; a service for which that holds is
 * reached over loopback only.
 */
export class Authenticator {
  readonly #scopes: MethodScopes;
  readonly #bootstrapHash: Buffer | undefined;
  readonly #keys: RecentValues<StoredKey>;
  readonly #applications: RecentValues<Application>;
  readonly #anyKey: RecentValues<boolean>;
  /** Never goes back: keys that are revoked stay in the store. */
  #hasAskedForKeys: boolean;
  readonly #strictDefault: boolean;

  constructor(
    ledger: Pick<Ledger, 'apiKeys' | 'applications'>,
    scopes: MethodScopes,
    options: {
      readonly bootstrapKey: string | undefined;
      /** Makes `default` strict, whatever is kept of it. */
      readonly strictDefault: boolean;
    },
  ) {
    this.#scopes = scopes;
    this.#strictDefault = options.strictDefault;
    this.#bootstrapHash = options.bootstrapKey === undefined ? undefined : secretHash(options.bootstrapKey);
    this.#hasAskedForKeys = options.bootstrapKey !== undefined;
    // A key that was revoked meanwhile must not be of use because the store is away.
    this.#keys = new RecentValues((id) => ledger.apiKeys.find(id, readDeadline()), {
      whenStoreIsAway: 'refuse',
    });
    this.#applications = new RecentValues((id) => ledger.applications.find(id, readDeadline()), {
      whenStoreIsAway: 'go on',
    });
    this.#anyKey = new RecentValues(() => ledger.apiKeys.anyExists(readDeadline()), {
      whenStoreIsAway: 'go on',
    });
  }

  /** Reads what every call asks for, so that the first one does not wait for it. */
  async prepare(): Promise<void> {
    await Promise.all([this.#asksForKeys(), this.#application(APPLICATION_DEFAULT)]);
  }

  /** Who calls a method; throws when there is no such caller, or he may not call it. */
  async admit(path: string, metadata: Metadata): Promise<Caller> {
    const caller = await this.callerOf(metadata);
    const required = this.#scopes.get(path);
    if (required === 'NONE') return caller;
    // Deny by default: a method of which the contract states no scope is nobody's.
    if (required === undefined || !caller.scopes.includes(required)) {
      throw new Fault('SCOPE_MISSING', `The key lacks the scope ${required ?? 'of this method'}.`, {
        metadata: { required_scope: required ?? '' },
      });
    }
    return caller;
  }

  /** What this process has changed holds in it at once. */
  forget(): void {
    this.#keys.clear();
    this.#applications.clear();
    this.#anyKey.clear();
  }

  /** Who calls, whatever it is that is called. */
  async callerOf(metadata: Metadata): Promise<Caller> {
    const keyText = keyTextOf(metadata);
    const wanted = textOf(metadata, CALLER_KEYS.application);
    if (this.#isBootstrap(keyText)) {
      const application = await this.#application(wanted ?? APPLICATION_DEFAULT);
      return { ...application, scopes: SCOPES, isBootstrap: true, isAnonymous: false };
    }
    const isAnonymous = !(await this.#asksForKeys());
    const { application: id, scopes } = isAnonymous ? ANONYMOUS : await this.#keyOf(keyText);
    if (wanted !== undefined && wanted !== id) {
      throw new Fault(
        'BOOTSTRAP_KEY_REQUIRED',
        'Only the bootstrap key may call for another application than its own.',
      );
    }
    return { ...(await this.#application(id)), scopes, isBootstrap: false, isAnonymous };
  }

  #isBootstrap(keyText: string | undefined): boolean {
    if (this.#bootstrapHash === undefined || keyText === undefined) return false;
    return timingSafeEqual(secretHash(keyText), this.#bootstrapHash);
  }

  async #asksForKeys(): Promise<boolean> {
    this.#hasAskedForKeys ||= (await this.#anyKey.get('')) === true;
    return this.#hasAskedForKeys;
  }

  /** One answer for what is missing, malformed, unknown, wrong and revoked: it tells nothing of what there is. */
  async #keyOf(keyText: string | undefined): Promise<ApiKey> {
    const stated = keyText === undefined ? undefined : parseKeyText(keyText);
    if (stated === undefined) throw invalidKey();
    const found = await this.#keys.get(stated.id);
    if (found === undefined) throw invalidKey();
    if (!timingSafeEqual(secretHash(stated.secret), found.secretHash)) throw invalidKey();
    if (found.key.revokeTime !== undefined) throw invalidKey();
    return found.key;
  }

  async #application(id: string): Promise<Pick<Caller, 'application' | 'strictIds'>> {
    const found = applicationIdRule(id) === undefined ? await this.#applications.get(id) : undefined;
    if (found === undefined) throw applicationNotFound(shown(id));
    const strictIds = found.strictIds || (id === APPLICATION_DEFAULT && this.#strictDefault);
    return { application: id, strictIds };
  }
}

type StoredKey = NonNullable<Awaited<ReturnType<Ledger['apiKeys']['find']>>>;

/** undefined: the call has none. Two that differ are as wrong as one that is unknown: nobody can say who calls. */
function keyTextOf(metadata: Metadata): string | undefined {
  const stated = metadata.get(CALLER_KEYS.apiKey).map(String);
  const bearers = metadata
    .get(CALLER_KEYS.authorization)
    .flatMap((value) => BEARER.exec(String(value).slice(0, KEY_TEXT_LENGTH_MAX))?.[1] ?? []);
  const [first, ...others] = [...stated, ...bearers].filter((text) => text !== '');
  // A text that no key can be stands for texts that differ.
  return others.every((text) => text === first) ? first?.slice(0, KEY_TEXT_LENGTH_MAX) : '';
}

/** Empty means absent. */
function textOf(metadata: Metadata, key: string): string | undefined {
  const texts = metadata.get(key).map(String);
  return texts.join() || undefined;
}

function invalidKey(): Fault {
  const message = `The call has no valid key: send one as ${CALLER_KEYS.apiKey}, or as authorization: Bearer <key>.`;
  return new Fault('INVALID_API_KEY', message);
}

function readDeadline(): number {
  return Date.now() + READ_TIME_MAX_MS;
}

const ANONYMOUS = { application: APPLICATION_DEFAULT, scopes: SCOPES } as const;
/** RFC 6750, section 2.1; RFC 9110, section 11.1: the scheme is compared case-insensitively. */
const BEARER = /^bearer +(\S+) *$/i;
/** Longer than any key is. */
const KEY_TEXT_LENGTH_MAX = 512;
const READ_TIME_MAX_MS = 5_000;
