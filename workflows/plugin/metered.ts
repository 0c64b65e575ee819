import { settle, type UsagePort } from '../../services/client/settle.js';
import type { UsageOutcome } from '../../services/domain/usage.js';
import { type AttributionFields, attributionFields } from './attempt.js';
import { isRefusal } from './is-refusal.js';
import type { CallEstimate, CallUsage, MeteredCall } from './metered-call.js';
import { currentScope, type MeteringScope } from './metering-scope.js';
import { type CallRecord, recordOf } from './scope-call.js';

/**
 * Makes one request to a provider inside the books: holds the estimate, makes the request, and settles it when the
 * activity's attempt ends. One request is one call of this; the retries of the provider's own client have to be off.
 *
 * `report` is told what the request has used, also where it fails; told several times, the last holds. A call that
 * reports nothing leaves its reservation open, to be closed at the estimate; it is released where the error says that the
 * provider refused to work, by a `status` or `statusCode` such as 429.
 *
 * Throws what `fn` throws; before it runs, a failure that ends or repeats the activity, because a limit refuses or the
 * service is away.
 */
export async function metered<T>(
  call: MeteredCall,
  estimate: CallEstimate,
  fn: (report: (usage: CallUsage) => void) => Promise<T>,
): Promise<T> {
  const scope = scopeOrThrow();
  const opened = await scope.open(call, estimate);
  try {
    const result = await fn((usage) => opened.report(usage));
    scope.finish(opened, undefined);
    return result;
  } catch (error) {
    if (!opened.isTold && isRefusal(error)) opened.report({ nothingSpent: true });
    scope.finish(opened, error ?? new Error('rejected without a reason'));
    throw error;
  }
}

/** For a request that is already made: nothing was held for it. Prefer {@link metered}. */
export function reportPaidCall(call: MeteredCall & CallUsage & { readonly startTime?: Date }): void {
  const { startTime, ...usage } = call;
  const { model: _model, provider: _provider, ...rest } = usage;
  scopeOrThrow().add(call, rest, startTime === undefined ? {} : { startTime });
}

/**
 * Holds the estimate of a call that ends after the activity has: one that is completed asynchronously. The token names
 * the call to whoever completes it, in any process; it is not secret. `ttlMs`: how long completing may take.
 */
export async function settleLater(
  call: MeteredCall,
  estimate: CallEstimate,
  { ttlMs }: { readonly ttlMs?: number } = {},
): Promise<string> {
  const scope = scopeOrThrow();
  const opened = await scope.open(call, estimate, ttlMs);
  const facts: TokenFacts = { ...scope.handOn(opened), ...attributionFields(scope.attempt.attribution) };
  return Buffer.from(JSON.stringify(facts)).toString('base64url');
}

/**
 * Settles the call of a token of {@link settleLater}. Repeated with the same usage it changes nothing, so that it can be
 * tried until it resolves.
 */
export async function completeMetered(usage: UsagePort, token: string, used: CallUsage): Promise<void> {
  const facts = parseToken(token);
  if (used.nothingSpent === true) return settle(usage, { kind: 'release', eventId: facts.eventId });
  const outcome: UsageOutcome = used.outcome ?? 'SUCCEEDED';
  return settle(usage, { kind: 'record', record: recordOf(facts, { ...used, outcome }) });
}

type TokenFacts = CallRecord & AttributionFields;

function parseToken(token: string): TokenFacts {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    value = undefined; // Refused below.
  }
  const facts = value as Partial<Record<keyof TokenFacts, unknown>> | null | undefined;
  const texts = [facts?.eventId, facts?.provider, facts?.model, facts?.operationKey, facts?.eventTime];
  if (!texts.every((text) => typeof text === 'string'))
    throw new TypeError('the token is not one of settleLater');
  // Its other fields were written by settleLater, and the service checks each.
  return { ...(facts as TokenFacts), eventTime: new Date(String(facts?.eventTime)) };
}

function scopeOrThrow(): MeteringScope {
  const scope = currentScope();
  if (scope === undefined) throw new Error('a paid call was made outside of a metered activity');
  return scope;
}
