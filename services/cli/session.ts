import type { Command } from 'commander';
import { ExperiencesClient } from '../client/index.js';
import { isAddress } from './argument-values.js';
import { CommandError } from './command-error.js';
import type { Output, Writer } from './output.js';
import { assertReachable } from './reachability.js';

/** What the command finds around itself. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Writer;
  readonly stderr: Writer;
  /** Calls back at Ctrl-C, which then no longer ends the process by itself; answers how to undo that. */
  onInterrupt(listener: () => void): () => void;
}

export interface GlobalOptions {
  readonly address: string;
  /** Seconds. */
  readonly timeout: number;
  /** Absent: that of the key. */
  readonly application?: string;
}

/** One call of the command: its global options, its connection, its output. */
export class Session {
  readonly surroundings: Surroundings;
  readonly #program: Command;
  readonly #output: Output;

  constructor(program: Command, surroundings: Surroundings, output: Output) {
    this.#program = program;
    this.surroundings = surroundings;
    this.#output = output;
  }

  /** Does a command's work with a client, once it is known that a service answers. */
  async run(work: (parts: { client: ExperiencesClient; output: Output }) => Promise<void>): Promise<void> {
    const options = this.#program.opts<GlobalOptions>();
    // An option was looked at when it was parsed; this may come from the environment.
    if (!isAddress(options.address)) {
      throw new CommandError('BAD_USAGE', `EXPERIENCES_ADDRESS must be host:port, not '${options.address}'.`);
    }
    const timeoutMs = options.timeout * 1_000;
    await assertReachable(options.address, timeoutMs);
    const { address, application } = options;
    const apiKey = this.surroundings.environment.EXPERIENCES_API_KEY || undefined;
    if (apiKey !== undefined && !VISIBLE_ASCII.test(apiKey))
      throw new CommandError('BAD_USAGE', 'EXPERIENCES_API_KEY holds characters that no key has.');
    const caller = {
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(application === undefined ? {} : { application }),
    };
    const client = new ExperiencesClient({ address, timeoutMs, caller });
    try {
      await work({ client, output: this.#output });
    } finally {
      client.close();
    }
  }
}

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
