/** What events add up to, in the plainest arithmetic there is. */

/** Money in whole numbers of 10^-18. */
export interface Totals {
  readonly type: string;
  readonly version: number;
  events: bigint;
  input: bigint;
  output: bigint;
  useful: bigint;
  wasted: bigint;
  unpriced: bigint;
  readonly units: Record<string, { input: bigint; output: bigint }>;
  first: number | undefined;
  last: number | undefined;
}

export interface BookedEvent {
  readonly application: string;
  readonly id: string;
  readonly experienceId: string | undefined;
  readonly type: string;
  readonly version: number;
  readonly provider: string;
  readonly model: string;
  readonly input: bigint;
  readonly output: bigint;
  readonly useful: boolean;
  readonly unpriced: boolean;
  readonly outcome: string;
  readonly operation: string | undefined;
  readonly units: readonly { readonly kind: string; readonly input: bigint; readonly output: bigint }[];
  readonly eventTime: number;
}

export function nothing(type: string, version: number): Totals {
  return {
    type,
    version,
    events: 0n,
    input: 0n,
    output: 0n,
    useful: 0n,
    wasted: 0n,
    unpriced: 0n,
    units: {},
    first: undefined,
    last: undefined,
  };
}

export function add(totals: Totals, event: BookedEvent): void {
  totals.events += 1n;
  totals.input += event.input;
  totals.output += event.output;
  if (event.useful) totals.useful += event.input + event.output;
  else totals.wasted += event.input + event.output;
  if (event.unpriced) totals.unpriced += 1n;
  for (const { kind, input, output } of event.units) {
    const sum = totals.units[kind] ?? { input: 0n, output: 0n };
    totals.units[kind] = { input: sum.input + input, output: sum.output + output };
  }
  totals.first = Math.min(totals.first ?? event.eventTime, event.eventTime);
  totals.last = Math.max(totals.last ?? event.eventTime, event.eventTime);
}

/** A decimal text, with or without an exponent, in whole numbers of 10^-18. */
export function units18(amount: { toString(): string }): bigint {
  const [digits = '', exponent = '0'] = amount.toString().split('E');
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.');
  const shift = 18 - fraction.length + Number(exponent);
  if (shift < 0) throw new RangeError(`${amount} is finer than 10^-18`);
  const magnitude = BigInt(whole + fraction) * 10n ** BigInt(shift);
  return digits.startsWith('-') ? -magnitude : magnitude;
}
