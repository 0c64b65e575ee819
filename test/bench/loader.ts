import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from './load-result.js';
import type { FromLoadProcess, ToLoadProcess, Work } from './work.js';

/** A load process, told what to do. */
export class Loader {
  readonly #child: ChildProcess;
  #take: (answer: FromLoadProcess) => void = () => undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (answer: FromLoadProcess) => this.#take(answer));
    child.on('exit', (code, signal) => this.#take({ failure: `the process ended with ${code ?? signal}` }));
  }

  static async start(): Promise<Loader> {
    const child = fork(fileURLToPath(new URL('./load-process.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      serialization: 'advanced',
      stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
    });
    const loader = new Loader(child);
    await loader.#answer();
    return loader;
  }

  async prepare(work: Work): Promise<void> {
    this.#tell({ prepare: work });
    await this.#answer();
  }

  /** What was prepared. */
  async run(): Promise<LoadResult & { readonly cpuMs: number }> {
    this.#tell({ run: true });
    const answer = await this.#answer();
    if (!('result' in answer)) throw new Error('a load that ran has a result');
    return { ...answer.result, cpuMs: answer.cpuMs };
  }

  stop(): void {
    this.#child.disconnect();
  }

  #tell(message: ToLoadProcess): void {
    this.#child.send(message);
  }

  async #answer(): Promise<FromLoadProcess> {
    const answer = await new Promise<FromLoadProcess>((resolve) => {
      this.#take = resolve;
    });
    if ('failure' in answer) throw new Error(`the load failed: ${answer.failure}`);
    return answer;
  }
}
