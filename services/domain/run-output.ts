/** Text that a step of a run is just writing. */
export interface RunOutput {
  /** What it belongs to. */
  readonly outputKey: string;
  /** From 1; a higher one begins anew, and what a lower one wrote is void. */
  readonly attempt: number;
  /** Within the attempt, from 1. */
  readonly sequence: number;
  readonly text: string;
  /** Whether the attempt has written all. */
  readonly final: boolean;
}

/** Which parts of a run's output a watcher has been given: a part is new once, and only of the highest attempt. */
export class OutputsSeen {
  readonly #byKey = new Map<string, { attempt: number; through: number; above: Set<number> }>();

  /** Whether the part was not given before. */
  add({ outputKey, attempt, sequence }: Pick<RunOutput, 'outputKey' | 'attempt' | 'sequence'>): boolean {
    const seen = this.#byKey.get(outputKey);
    if (seen === undefined || attempt > seen.attempt) {
      this.#byKey.delete(outputKey); // So that it becomes the newest.
      this.#byKey.set(outputKey, begun(attempt, sequence));
      this.#forgetOldest();
      return true;
    }
    if (attempt < seen.attempt || sequence <= seen.through || seen.above.has(sequence)) return false;
    seen.above.add(sequence);
    while (seen.above.delete(seen.through + 1)) seen.through += 1;
    return true;
  }

  #forgetOldest(): void {
    if (this.#byKey.size <= KEYS_SEEN_MAX) return;
    const [oldest] = this.#byKey.keys();
    if (oldest !== undefined) this.#byKey.delete(oldest);
  }
}

function begun(attempt: number, sequence: number): { attempt: number; through: number; above: Set<number> } {
  return sequence === 1
    ? { attempt, through: 1, above: new Set() }
    : { attempt, through: 0, above: new Set([sequence]) };
}

/** Outputs are kept for minutes only: far fewer keys are written in that time. */
const KEYS_SEEN_MAX = 1_000;
