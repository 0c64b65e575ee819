import { createHash } from 'node:crypto';
import { ExperiencesError } from '../../client/index.js';
import { HttpFault } from '../http-fault.js';
import { withinTime } from '../within-time.js';

/** Whom a key is of, as the service says. */
export interface KnownCaller {
  readonly application: string;
  readonly scopes: readonly string[];
}

/**
 * Who calls, by their key; undefined: they sent none. An answer of the service is believed for at most
 * {@link BELIEVED_MAX_MS}, so that a revoked key ends within that time; before it is over the service is asked again
 * beside, so that a busy caller never waits for it. Only hashes of keys are kept.
 */
export class CallerCache {
  readonly #lookUp: (apiKey: string | undefined) => Promise<KnownCaller>;
  readonly #now: () => number;
  /** The one used longest ago comes first. */
  readonly #entries = new Map<string, Entry>();

  constructor(
    lookUp: (apiKey: string | undefined) => Promise<KnownCaller>,
    now: () => number = () => performance.now(),
  ) {
    this.#lookUp = lookUp;
    this.#now = now;
  }

  /** Rejects with the service's error: UNAUTHENTICATED for a key that is none. */
  async callerOf(apiKey: string | undefined): Promise<KnownCaller> {
    const key = apiKey === undefined ? '' : createHash('sha256').update(apiKey).digest('base64');
    const known = this.#entries.get(key);
    const age = known === undefined ? Number.POSITIVE_INFINITY : this.#now() - known.askTime;
    if (known === undefined || age >= BELIEVED_MAX_MS) return this.#ask(key, apiKey).answer;
    this.#use(key, known);
    if (age >= ASKED_AGAIN_MS && !known.isAskedAgain) {
      known.isAskedAgain = true;
      this.#ask(key, apiKey, known).answer.catch(() => undefined); // Whoever needs it will ask for it.
    }
    return known.answer;
  }

  /** While there is an answer that is still believed, it stands until the new one is there. */
  #ask(key: string, apiKey: string | undefined, before?: Entry): Entry {
    const entry: Entry = { askTime: this.#now(), answer: inTime(this.#lookUp(apiKey)), isAskedAgain: false };
    if (before === undefined) this.#use(key, entry);
    entry.answer.then(
      () => before !== undefined && this.#use(key, entry),
      (error: unknown) => {
        // That a key is none is an answer; all else is not, and is asked for again.
        if (isRefusal(error)) this.#use(key, entry);
        else if (this.#entries.get(key) === entry) this.#entries.delete(key);
        else if (before !== undefined) before.isAskedAgain = false;
      },
    );
    return entry;
  }

  #use(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= CALLERS_MAX) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

interface Entry {
  /** When the service was asked: what it answers was true then or later. */
  readonly askTime: number;
  readonly answer: Promise<KnownCaller>;
  isAskedAgain: boolean;
}

/** A caller waits no longer for who it is than for its reservation. */
async function inTime(answer: Promise<KnownCaller>): Promise<KnownCaller> {
  if ((await withinTime(answer, ASK_TIME_MAX_MS)) === 'done') return answer;
  throw new HttpFault(503, 'request_processing_error', 'The service cannot be reached just now.', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** Whether the service has said that the key is none. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ExperiencesError && error.code === 'UNAUTHENTICATED';
}

/**
 * Beside the second and a half that a process of the service believes the store (`server/recent-values.ts`): together the
 * two seconds that are promised.
 */
const BELIEVED_MAX_MS = 500;
const ASKED_AGAIN_MS = 250;
const ASK_TIME_MAX_MS = 5_000;
const RETRY_AFTER_MS = 1_000;
const CALLERS_MAX = 10_000;
