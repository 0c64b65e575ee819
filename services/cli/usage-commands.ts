import { type Command, Option } from 'commander';
import type { UnitsInput, UsageEvent, UsageOutcome } from '../client/index.js';
import { property, units, wholeNumber } from './argument-values.js';
import { VERSION_MAX } from './experience-commands.js';
import { firstItems, LIMIT_DEFAULT, LIMIT_MAX } from './first-items.js';
import { recordedText } from './recorded-text.js';
import type { Session } from './session.js';
import { usageTable } from './usage-table.js';

interface RecordOptions {
  readonly provider: string;
  readonly model: string;
  readonly units?: UnitsInput;
  readonly experience?: string;
  readonly type?: string;
  readonly version?: number;
  readonly user?: string;
  readonly eventId?: string;
  readonly outcome?: Lowercase<UsageOutcome>;
  readonly operation?: string;
  readonly step?: string;
  readonly latency?: number;
  readonly property?: Readonly<Record<string, string>>;
}

/** `experiences record` and `usage`: the paid calls. */
export function addUsageCommands(program: Command, session: Session): void {
  program
    .command('record')
    .description('record one paid call, as a program would do it through the client')
    .requiredOption('--provider <name>', 'who was paid, such as openai')
    .requiredOption('--model <name>', 'the model that answered')
    .option('--units <kind=in/out>', 'what was used, such as text=1000/500; may be repeated', units)
    .option('--experience <id>', 'the experience that it belongs to')
    .option('--type <name>', 'its type; without --experience a new one of the type is made')
    .option('--version <n>', 'version of the type for a new experience', wholeNumber(VERSION_MAX))
    .option('--user <id>', 'whom it was for')
    .option('--event-id <id>', 'identity of the call: the same id again is not counted twice')
    .addOption(new Option('--outcome <outcome>', 'how the call ended').choices(Object.keys(OUTCOMES)))
    .option(
      '--operation <key>',
      'the step it was an attempt of: of several successes only the last is useful',
    )
    .option('--step <name>', 'name of the step, for people')
    .option('--latency <milliseconds>', 'how long the call took', wholeNumber(LATENCY_MAX_MS))
    .option('--property <key=value>', 'a label of your own; may be repeated', property)
    .action((options: RecordOptions) =>
      session.run(async ({ client, output }) => {
        const recorded = await client.usage.record(recordOf(options));
        if (recorded.duplicate) output.notice('It was recorded before, and is not counted again.');
        for (const { message } of recorded.warnings) output.notice(message);
        output.result(recorded, () => recordedText(recorded));
      }),
    );

  program
    .command('usage <id>')
    .description('list the paid calls of one experience, in the order they were recorded')
    .option('--limit <n>', 'at most so many', wholeNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .action((id: string, { limit }: { readonly limit: number }) =>
      session.run(async ({ client, output }) => {
        const events: readonly UsageEvent[] = await firstItems(client.usage.list(id), limit, output);
        output.result(events, () => usageTable(events));
      }),
    );
}

function recordOf(options: RecordOptions) {
  const { experience, type, version, user, eventId, outcome, operation, step, latency } = options;
  return {
    provider: options.provider,
    model: options.model,
    units: options.units ?? {},
    ...(experience === undefined ? {} : { experienceId: experience }),
    ...(type === undefined ? {} : { experienceType: type }),
    ...(version === undefined ? {} : { experienceVersion: version }),
    ...(user === undefined ? {} : { userId: user }),
    ...(eventId === undefined ? {} : { eventId }),
    ...(outcome === undefined ? {} : { outcome: OUTCOMES[outcome] }),
    ...(operation === undefined ? {} : { operationKey: operation }),
    ...(step === undefined ? {} : { step }),
    ...(latency === undefined ? {} : { latencyMs: latency }),
    ...(options.property === undefined ? {} : { properties: options.property }),
  };
}

const OUTCOMES = {
  succeeded: 'SUCCEEDED',
  failed: 'FAILED',
  cancelled: 'CANCELLED',
  timed_out: 'TIMED_OUT',
} as const satisfies Record<Lowercase<UsageOutcome>, UsageOutcome>;
/** An hour. */
const LATENCY_MAX_MS = 3_600_000;
