import Table from 'cli-table3';
import { rounded } from './leg.js';
import type { Ratio } from './statistics.js';

/** A figure beside what it should be. */
export interface Target {
  readonly name: string;
  readonly value: number | null;
  readonly spread: string;
  readonly isAtLeast: boolean;
  readonly target: number;
  readonly aim: number | undefined;
  readonly isMet: boolean;
}

export function targetOf(
  name: string,
  { ratio, least, most }: Ratio,
  bound:
    | { readonly atLeast: number; readonly aim?: number }
    | { readonly atMost: number; readonly aim?: number },
): Target {
  const isAtLeast = 'atLeast' in bound;
  const limit = 'atLeast' in bound ? bound.atLeast : bound.atMost;
  return {
    name,
    value: rounded(ratio),
    spread: least === most ? '' : `${least.toFixed(2)} to ${most.toFixed(2)}`,
    isAtLeast,
    target: limit,
    aim: bound.aim,
    isMet: isAtLeast ? ratio >= limit : ratio <= limit,
  };
}

/** For programs. */
export function targetsJson(targets: readonly Target[]) {
  return targets.map(({ name, value, target, aim, isMet }) => ({ name, value, target, aim, isMet }));
}

/** For people. */
export function targetTable(targets: readonly Target[]): string {
  const table = new Table({ head: ['figure', 'value', 'rounds', 'target', 'aim', ''], style: PLAIN });
  for (const { name, value, spread, isAtLeast, target, aim, isMet } of targets) {
    const sign = isAtLeast ? '>=' : '<=';
    const cell = value === null ? '-' : String(value);
    table.push([
      name,
      cell,
      spread,
      `${sign} ${target}`,
      aim === undefined ? '' : `${sign} ${aim}`,
      isMet ? 'met' : 'NOT MET',
    ]);
  }
  return table.toString();
}

export const PLAIN = { head: [], border: [] };
