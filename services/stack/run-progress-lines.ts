import type { ExperienceRun } from '../client/index.js';

/** One line a run that tells how far it is: drawn again in place on a terminal, a line at each change elsewhere. */
export class RunProgressLines {
  readonly #names: readonly string[];
  readonly #lines: string[];
  readonly #isTerminal = process.stdout.isTTY === true;
  #drawn = false;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#lines = names.map((_, index) => this.#line(index, 'starting'));
    this.#draw();
  }

  show(index: number, run: ExperienceRun): void {
    const line = this.#line(index, describe(run));
    if (line === this.#lines[index]) return;
    this.#lines[index] = line;
    if (this.#isTerminal) this.#draw();
    else console.log(line);
  }

  end(): void {
    this.#drawn = false;
  }

  #line(index: number, text: string): string {
    const width = Math.max(...this.#names.map((name) => name.length));
    return `  ${index + 1}. ${(this.#names[index] ?? '').padEnd(width)}  ${text}`;
  }

  #draw(): void {
    if (!this.#isTerminal) return;
    if (this.#drawn) process.stdout.write(`\x1b[${this.#lines.length}A`);
    for (const line of this.#lines) process.stdout.write(`\x1b[K${line}\n`);
    this.#drawn = true;
  }
}

function describe({ state, progress, totals }: ExperienceRun): string {
  const cost = `$${totals.cost.total}`;
  if (state !== 'RUNNING')
    return `${state.toLowerCase()}, ${totals.eventCount} ${totals.eventCount === 1n ? 'call' : 'calls'}, ${cost}`;
  if (progress === undefined) return 'starting';
  return `${progress.phase} ${progress.completedSteps} of ${progress.totalSteps}, ${cost}`;
}
