import { CommanderError } from 'commander';
import { ExperiencesError } from '../client/index.js';
import { CommandError } from './command-error.js';
import { EXIT_CODE, type ExitCode } from './exit-code.js';
import { unreachable } from './reachability.js';
import { hintFor } from './reason-hint.js';
import { visibleText } from './visible-text.js';

/** Why a command failed, as `--json` prints it under `error`. */
export interface ErrorReport {
  /** gRPC's status name, or one of the command's own: BAD_USAGE, SERVICE_UNREACHABLE, RUN_NOT_COMPLETED, BOOKS_DIFFER, INTERRUPTED, BUG. */
  readonly code: string;
  /** The service's reason; undefined: it is not the service's answer. */
  readonly reason?: string;
  readonly message: string;
  readonly violations?: readonly { readonly field: string; readonly description: string }[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** What to do about it. */
  readonly hint?: string;
  readonly exitCode: ExitCode;
}

export function toErrorReport(error: unknown, address: string): ErrorReport {
  if (error instanceof CommandError) return commandReport(error);
  if (error instanceof CommanderError) return usageReport(error);
  if (error instanceof ExperiencesError) return serviceReport(error, address);
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: 'BUG',
    message,
    hint: 'This is a fault of the command itself.',
    exitCode: EXIT_CODE.refused,
  };
}

/** For people: what is wrong, then what to do about it. */
export function errorText({ code, message, violations = [], hint }: ErrorReport): string {
  // Who stops watching knows that; what follows is how to go on.
  const first = code === 'INTERRUPTED' ? message : `error: ${message}`;
  const fields = violations.map(({ field, description }) => `${field}: ${description}`);
  const lines = fields.length === 0 ? [first] : ['error: The service refuses the request:', ...fields];
  return visibleText([...lines, ...(hint === undefined ? [] : [hint])].join('\n  '));
}

function commandReport({ code, message, hint, exitCode }: CommandError): ErrorReport {
  return { code, message, ...(hint === undefined ? {} : { hint }), exitCode };
}

function usageReport({ code, message }: CommanderError): ErrorReport {
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ');
  return {
    code: 'BAD_USAGE',
    message: code === 'commander.help' ? 'A command is missing.' : text,
    hint: 'Add --help to see what a command takes.',
    exitCode: EXIT_CODE.badUsage,
  };
}

function serviceReport(error: ExperiencesError, address: string): ErrorReport {
  if (error.reason === undefined && error.code === 'UNAVAILABLE')
    return commandReport(unreachable(address, error));
  const hint = hintFor(error);
  return {
    code: error.code,
    ...(error.reason === undefined ? {} : { reason: error.reason }),
    message: error.message,
    ...(error.violations.length === 0 ? {} : { violations: error.violations }),
    ...(Object.keys(error.metadata).length === 0 ? {} : { metadata: error.metadata }),
    ...(hint === undefined ? {} : { hint }),
    exitCode: EXIT_CODE.refused,
  };
}
