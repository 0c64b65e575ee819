import { EXIT_CODE, type ExitCode } from './exit-code.js';

/** That a command ends without having done what it was asked for, for a reason that is no answer of the service. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: CommandErrorCode;
  /** What to do about it; undefined: the message says it. */
  readonly hint: string | undefined;

  constructor(code: CommandErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get exitCode(): ExitCode {
    return EXIT_CODE_OF[this.code];
  }
}

const EXIT_CODE_OF = {
  BAD_USAGE: EXIT_CODE.badUsage,
  SERVICE_UNREACHABLE: EXIT_CODE.unreachable,
  RUN_NOT_COMPLETED: EXIT_CODE.refused,
  BOOKS_DIFFER: EXIT_CODE.refused,
  INTERRUPTED: EXIT_CODE.interrupted,
} as const satisfies Record<string, ExitCode>;

export type CommandErrorCode = keyof typeof EXIT_CODE_OF;
