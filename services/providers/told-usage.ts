import type { Units } from '../domain/units.js';
import { withOutput } from './estimated-units.js';
import type { ProviderAnswer, ProviderRequest } from './provider-contract.js';
import { TEXT } from './unit-kinds.js';

/** What a provider said of usage. */
export interface ToldUsage {
  readonly units: Units;
  /** The count of what was answered; undefined: not told, or only a first guess. */
  readonly output: bigint | undefined;
}

/**
 * The usage of an answer of which so many tokens of text were counted here. It is the provider's own where that can be:
 * servers that do not count say zero, or leave a count out, beside an answer that somebody reads and pays. What is not
 * said is counted, and the whole is an estimate then. `output` is asked for only where it decides.
 */
export function usageOf(
  told: ToldUsage | undefined,
  request: ProviderRequest,
  output: () => bigint,
): Required<Pick<ProviderAnswer, 'units' | 'unitsBasis'>> {
  if (told?.output !== undefined && told.output > 0n) return { units: told.units, unitsBasis: 'reported' };
  const counted = output();
  if (told?.output !== undefined && counted === 0n) return { units: told.units, unitsBasis: 'reported' };
  const known = told === undefined || told.units.size === 0 ? request.promptUnits() : told.units;
  const before = known.get(TEXT)?.output ?? 0n;
  const missing = counted > before ? counted - before : 0n;
  return { units: withOutput(known, TEXT, missing), unitsBasis: 'estimated' };
}
