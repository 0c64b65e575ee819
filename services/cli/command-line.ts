import { Command, CommanderError } from 'commander';
import { addApplicationCommands } from './application-commands.js';
import { address, applicationId, seconds } from './argument-values.js';
import { addAskCommand } from './ask-command.js';
import { addBookCommands } from './book-commands.js';
import { addCostCommands } from './cost-commands.js';
import { addDocumentCommands } from './document-commands.js';
import { toErrorReport } from './error-report.js';
import { EXIT_CODE, type ExitCode } from './exit-code.js';
import { addExperienceCommands } from './experience-commands.js';
import { addKeyCommands } from './key-commands.js';
import { addLimitsCommands } from './limits-commands.js';
import { Output } from './output.js';
import { addPriceCommands } from './price-commands.js';
import { addRunCommands } from './run-commands.js';
import { type GlobalOptions, Session, type Surroundings } from './session.js';
import { addTypesCommands } from './types-commands.js';
import { addUsageCommands } from './usage-commands.js';

/** Runs one command line and answers how the process is to end. */
export async function runCommandLine(
  commandLine: readonly string[],
  surroundings: Surroundings,
): Promise<ExitCode> {
  // Looked for by hand: a line that cannot be parsed may ask for JSON too.
  const output = new Output({ ...surroundings, json: commandLine.includes('--json') });
  const program = createProgram(surroundings, output.json);
  const session = new Session(program, surroundings, output);
  addTypesCommands(program, session);
  addExperienceCommands(program, session);
  addDocumentCommands(program, session);
  addRunCommands(program, session);
  addAskCommand(program, session);
  addUsageCommands(program, session);
  addCostCommands(program, session);
  addPriceCommands(program, session);
  addLimitsCommands(program, session);
  addBookCommands(program, session);
  addApplicationCommands(program, session);
  addKeyCommands(program, session);
  try {
    await program.parseAsync(commandLine, { from: 'user' });
    return EXIT_CODE.done;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CODE.done; // Help was asked for.
    if (error instanceof CommanderError && error.code === 'commander.help' && !output.json)
      return EXIT_CODE.badUsage;
    const report = toErrorReport(error, program.opts<GlobalOptions>().address);
    output.error(report);
    return report.exitCode;
  }
}

function createProgram({ environment, stdout, stderr }: Surroundings, json: boolean): Command {
  const program = new Command('experiences');
  return program
    .description('What one use of a GenAI feature costs.')
    .option(
      '--address <host:port>',
      'where the service is; else EXPERIENCES_ADDRESS',
      address,
      environment.EXPERIENCES_ADDRESS || ADDRESS_DEFAULT,
    )
    .option(
      '--application <id>',
      "whose data, with the bootstrap key; else the key's own, or default",
      applicationId,
    )
    .option('--json', 'print one JSON document, for programs')
    .option(
      '--timeout <seconds>',
      'for each call, with all its retries',
      seconds(TIMEOUT_MAX_S),
      TIMEOUT_DEFAULT_S,
    )
    .configureHelp({ showGlobalOptions: true, helpWidth: HELP_WIDTH })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // Help, when a command is missing. Errors are reported by the caller, in one place for all kinds.
      writeErr: (text) => (json ? undefined : stderr.write(text)),
      outputError: () => undefined,
    })
    .exitOverride()
    .addHelpText('after', HELP_AFTER);
}

const ADDRESS_DEFAULT = '127.0.0.1:50051';
const TIMEOUT_DEFAULT_S = 15;
const TIMEOUT_MAX_S = 600;
const HELP_WIDTH = 100;
const HELP_AFTER = `
Exit codes:
  0    done
  1    the service refused, the run that was watched did not complete, or the books do not balance
  2    the command line is wrong
  3    the service cannot be reached
  130  interrupted while watching

The address is that of the gRPC service. Programs that speak HTTP call the gateway, at http://127.0.0.1:8080
or where its GATEWAY_LISTEN says; \`npm start\` tells it.

With --json the result is one JSON document on standard output: money as exact decimal strings, times in
ISO 8601, counts as numbers (as strings beyond 2^53), lists as an array. Errors and notices are JSON objects
on standard error, one a line.

A service that asks for keys is called with the one in EXPERIENCES_API_KEY.

Examples:
  experiences types create Summary --description 'Summarises a document'
  experiences record --type Summary --provider openai --model gpt-4o-mini --units text=1000/500
  experiences start Document_Summarization report.txt --watch
  experiences cost <id>
  experiences costs --by type,model --bucket day
  experiences compare Summary 1 2`;
