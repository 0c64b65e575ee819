import { ApplicationFailure } from '@temporalio/common';
import { ExperiencesError } from '../../services/client/index.js';
import type { CallEstimate, CallUsage, MeteredCall } from './metered-call.js';
import type { MeteringScope } from './metering-scope.js';
import type { PluginLogger } from './usage-outbox.js';

/** One request, as an activity's result shows it. */
export type ExtractedUsage = MeteredCall & CallUsage;

/**
 * Meters an activity whose code cannot be changed, by what it takes and answers. The function alone sees successes; a
 * failed attempt leaves its reservation open, to be closed at the estimate.
 */
export type ExtractUsage = (result: unknown, args: readonly unknown[]) => readonly ExtractedUsage[];

export interface UsageExtractor {
  readonly usage: ExtractUsage;
  /** Which call is about to be made; absent: it is reserved under an unknown model. */
  readonly call?: (args: readonly unknown[]) => MeteredCall;
  /** What it may cost at most; absent: it is only asked whether anything may still be spent. */
  readonly estimate?: (args: readonly unknown[]) => CallEstimate;
  /** Whether a failure says that nothing was spent; absent: none does. */
  readonly nothingSpent?: (error: unknown) => boolean;
}

/** By activity type. */
export type Extractors = Readonly<Record<string, UsageExtractor | ExtractUsage>>;

/**
 * Runs an activity inside its scope, and takes what it has used from its result. An extractor is a guess about foreign
 * data: where it is wrong the activity neither fails nor is run again for it, and the log says so.
 */
export async function extracted<T>(
  scope: MeteringScope,
  extract: UsageExtractor | ExtractUsage,
  args: readonly unknown[],
  run: () => Promise<T>,
  logger: PluginLogger,
): Promise<T> {
  const extractor: UsageExtractor = typeof extract === 'function' ? { usage: extract } : extract;
  const { activityType } = scope.attempt.info;
  const warn = (error: unknown) => logger.warn({ err: error, activityType }, 'an extractor failed');
  const guarded = <V>(read: () => V): V | undefined => {
    try {
      return atOnce(read());
    } catch (error) {
      warn(error);
      return undefined;
    }
  };
  const call = guarded(() => callOrThrow(extractor.call?.(args) ?? UNKNOWN_CALL)) ?? UNKNOWN_CALL;
  const estimate = guarded(() => extractor.estimate?.(args));
  const opened = await scope.open(call, estimate).catch((error: unknown) => {
    if (!isRefusedAsInvalid(error)) throw error;
    warn(error);
    return scope.open(UNKNOWN_CALL, undefined);
  });
  let result: T;
  try {
    result = await run();
  } catch (error) {
    if (guarded(() => extractor.nothingSpent?.(error)) === true) opened.report({ nothingSpent: true });
    scope.finish(opened, error ?? new Error('rejected without a reason'));
    throw error;
  }
  const usages = guarded(() => usagesOrThrow(extractor.usage(result, args)));
  const [first, ...others] = usages ?? [];
  if (first !== undefined) opened.report(first);
  else if (usages !== undefined) opened.report({ nothingSpent: true });
  scope.finish(opened, undefined);
  guarded(() => {
    for (const usage of others) scope.add(usage, usage);
  });
  return result;
}

/** Whether a reservation failed for what it says, as a wrong model or estimate: then the service or the client refuses. */
function isRefusedAsInvalid(error: unknown): boolean {
  if (!(error instanceof ApplicationFailure)) return true;
  return error.cause instanceof ExperiencesError && error.cause.code === 'INVALID_ARGUMENT';
}

function callOrThrow(call: MeteredCall): MeteredCall {
  const { provider, model, step = '' } = atOnce(call);
  if (![provider, model, step].every((text: unknown) => typeof text === 'string'))
    throw new TypeError('provider, model and step of a call are texts');
  return call;
}

function usagesOrThrow(usages: readonly ExtractedUsage[]): readonly ExtractedUsage[] {
  const list: unknown = atOnce(usages);
  if (!Array.isArray(list)) throw new TypeError('an extractor answers a list of usages');
  if (!list.every((usage) => typeof usage === 'object' && usage !== null))
    throw new TypeError('a usage is an object');
  return list;
}

/** A promise is no answer; its rejection, which nobody awaits, would end the process. */
function atOnce<V>(value: V): V {
  if (!(value instanceof Promise)) return value;
  value.catch(() => undefined);
  throw new TypeError('an extractor answers at once, and not with a promise');
}

const UNKNOWN_CALL: MeteredCall = { provider: 'unknown', model: 'unknown' };
