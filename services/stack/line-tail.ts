import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** The last lines that a process wrote, for the message when it fails. */
export class LineTail {
  readonly #linesMax: number;
  readonly #lines: string[] = [];

  constructor(linesMax = LINES_MAX) {
    this.#linesMax = linesMax;
  }

  /** Keeps reading the stream to its end, so that the writer never blocks on a full pipe. */
  follow(stream: Readable, onLine?: (line: string) => void): void {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      this.#lines.push(line);
      if (this.#lines.length > this.#linesMax) this.#lines.shift();
      onLine?.(line);
    });
  }

  lines(): readonly string[] {
    return [...this.#lines];
  }

  text(): string {
    return this.#lines.join('\n');
  }
}

const LINES_MAX = 30;
