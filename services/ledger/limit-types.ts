import { factKey } from './fact-key.js';
import type { Facts } from './facts.js';

/** Which limits only allow, as far as this process has met them: a limit's type never changes. */
export class LimitTypes {
  readonly #allowing = new Set<string>();

  note(limits: Facts['limits']): void {
    for (const [key, { limit }] of limits) {
      if (limit.type !== 'ALLOW') continue;
      if (this.#allowing.size >= KNOWN_MAX) this.#allowing.clear();
      this.#allowing.add(key);
    }
  }

  /** Whether all are known to refuse nothing. */
  onlyAllow(application: string, limitIds: readonly string[]): boolean {
    return limitIds.every((id) => this.#allowing.has(factKey(application, id)));
  }
}

const KNOWN_MAX = 10_000;
