/** Tells the watchers of a run what a step is just writing: a message of `PublishRunOutput`. */
export type PublishOutput = (part: {
  readonly sequence: number;
  readonly text: string;
  readonly final: boolean;
}) => Promise<unknown>;

/**
 * Gathers text that arrives token by token and publishes it about ten times a second, one message after another. Watching
 * is a courtesy: when a message cannot be published no more are, and the step goes on.
 */
export class RunOutputWriter {
  readonly #publish: PublishOutput;
  #waiting = '';
  #sequence = 0;
  #broken = false;
  #timer: NodeJS.Timeout | undefined;
  #published: Promise<void> = Promise.resolve();

  constructor(publish: PublishOutput) {
    this.#publish = publish;
  }

  write(text: string): void {
    this.#waiting += text;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush(false);
    }, INTERVAL_MS);
  }

  /** Publishes what is left, and that it was all. */
  async end(): Promise<void> {
    this.abandon();
    this.#flush(true);
    await this.#published;
  }

  /** What is left is not published: another attempt begins anew. */
  abandon(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #flush(final: boolean): void {
    this.#published = this.#published.then(async () => {
      const text = this.#waiting;
      this.#waiting = '';
      const parts = partsOf(text);
      for (const [index, part] of parts.entries()) {
        if (this.#broken) return;
        this.#sequence += 1;
        const isLast = final && index === parts.length - 1;
        await this.#publish({ sequence: this.#sequence, text: part, final: isLast }).catch(() => {
          this.#broken = true; // A gap would show the text wrong.
        });
      }
    });
  }
}

function partsOf(text: string): readonly string[] {
  const parts = [''];
  for (const character of text) {
    const last = parts.length - 1;
    if ((parts[last] ?? '').length + character.length > PART_CHARACTERS_MAX) parts.push(character);
    else parts[last] += character;
  }
  return parts;
}

const INTERVAL_MS = 100;
/** As the contract has it. */
const PART_CHARACTERS_MAX = 16_384;
