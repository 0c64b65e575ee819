import { type Command, Option } from 'commander';
import type { CostDimension, TimeBucket } from '../client/index.js';
import { costDimensions, fullHour, percentiles, wholeNumber } from './argument-values.js';
import { CommandError } from './command-error.js';
import { costReport } from './cost-report.js';
import { distributionText } from './distribution-text.js';
import { VERSION_MAX } from './experience-commands.js';
import type { Session } from './session.js';
import { versionComparison } from './version-comparison.js';

interface CostsOptions {
  readonly by?: readonly CostDimension[];
  readonly bucket?: Lowercase<TimeBucket>;
  readonly since?: Date;
  readonly until?: Date;
  readonly type?: string;
  readonly untyped?: true;
  readonly version?: number;
  readonly provider?: string;
  readonly model?: string;
}

interface DistributionOptions {
  readonly version?: number;
  readonly percentiles?: readonly number[];
  readonly dearest: number;
  readonly showDeleted?: true;
}

/** `experiences costs`, `distribution` and `compare`: what many uses cost together, and how they differ. */
export function addCostCommands(program: Command, session: Session): void {
  program
    .command('costs')
    .description('show what was spent, by type, version, provider, model and time')
    .option(
      '--by <dimensions>',
      `one or more of ${DIMENSIONS_TEXT}; else type, or version with --type`,
      costDimensions,
    )
    .addOption(new Option('--bucket <length>', 'apart in time too').choices(Object.keys(BUCKETS)))
    .option('--since <time>', 'from this full hour or date on, in UTC; else 7 days until --until', fullHour)
    .option('--until <time>', 'before this full hour or date; else until the end of today', fullHour)
    .option('--type <name>', 'only of this type')
    .addOption(new Option('--untyped', 'only what belongs to no type').conflicts('type'))
    .option('--version <n>', 'only of this version of the type', wholeNumber(VERSION_MAX))
    .option('--provider <name>', 'only of this provider')
    .option('--model <name>', 'only of this model')
    .action((options: CostsOptions) =>
      session.run(async ({ client, output }) => {
        const query = queryOf(options, new Date());
        const report = await client.costs.query(query);
        const { startTime, endTime, timeBucket } = query;
        output.result({ startTime, endTime, ...report }, () =>
          costReport(report, { startTime, endTime, timeBucket }),
        );
      }),
    );

  program
    .command('distribution <type>')
    .description('show how the uses of a feature differ in cost')
    .option('--version <n>', 'version of the type; else the current one', wholeNumber(VERSION_MAX))
    .option('--percentiles <list>', 'which ones, such as 50,99.9; else 50,75,90,95,99', percentiles)
    .option('--dearest <n>', 'so many of the dearest', wholeNumber(DEAREST_MAX), DEAREST_DEFAULT)
    .option('--show-deleted', 'even if the type is deleted')
    .action((type: string, { version, percentiles: wanted, dearest, ...deleted }: DistributionOptions) =>
      session.run(async ({ client, output }) => {
        const details = await client.costs.distribution(type, {
          ...(version === undefined ? {} : { experienceVersion: version }),
          ...(wanted === undefined ? {} : { percentiles: wanted }),
          dearestCount: dearest,
          barCountMax: BARS_MAX,
          ...deleted,
        });
        output.result(details, () => distributionText(details));
      }),
    );

  program
    .command('compare')
    .description('show how two versions of a feature differ in cost, and whether beyond chance')
    .argument('<type>', 'name of the type')
    .argument('<first>', 'the version to compare with', wholeNumber(VERSION_MAX))
    .argument('<second>', 'the version to compare', wholeNumber(VERSION_MAX))
    .option('--show-deleted', 'even if the type is deleted')
    .action((type: string, first: number, second: number, options: { readonly showDeleted?: true }) =>
      session.run(async ({ client, output }) => {
        const compared = await client.costs.compareVersions(type, first, second, options);
        output.result(compared, () => versionComparison(compared));
      }),
    );
}

/** Whole days unless told otherwise: seven of them, today included. */
function queryOf(options: CostsOptions, now: Date) {
  const { by, bucket, since, until, type, untyped, version, provider, model } = options;
  const endTime = until ?? new Date((Math.floor(now.getTime() / DAY_MS) + 1) * DAY_MS);
  const startTime = since ?? new Date(endTime.getTime() - DAYS_DEFAULT * DAY_MS);
  const byDefault = type === undefined ? 'EXPERIENCE_TYPE' : 'EXPERIENCE_VERSION';
  if (by?.includes('EXPERIENCE_VERSION') && !by.includes('EXPERIENCE_TYPE') && type === undefined) {
    const hint = 'Give --by type,version, or one type with --type.';
    throw new CommandError('BAD_USAGE', 'Versions of different types say nothing together.', { hint });
  }
  return {
    startTime,
    endTime,
    groupBy: by ?? [byDefault],
    timeBucket: bucket === undefined ? undefined : BUCKETS[bucket],
    ...(type === undefined ? {} : { experienceType: type }),
    ...(untyped === undefined ? {} : { experienceType: '' }),
    ...(version === undefined ? {} : { experienceVersion: version }),
    ...(provider === undefined ? {} : { provider }),
    ...(model === undefined ? {} : { model }),
  } as const;
}

const BUCKETS = { hour: 'HOUR', day: 'DAY', month: 'MONTH' } as const satisfies Record<
  Lowercase<TimeBucket>,
  TimeBucket
>;
const DIMENSIONS_TEXT = 'type,version,provider,model';
const DAY_MS = 86_400_000;
const DAYS_DEFAULT = 7;
const DEAREST_DEFAULT = 5;
const DEAREST_MAX = 100;
/** As many lines as a terminal shows beside the rest. */
const BARS_MAX = 20;
