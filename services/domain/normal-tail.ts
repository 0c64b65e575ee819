/**
 * How probable it is that a standard normal variable is at least this far from zero, on either side:
 * `erfc(z / sqrt 2)`. Good to about 14 digits; below 10^-300 it becomes 0.
 */
export function normalTail(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  return x < SERIES_BELOW ? 1 - erfSeries(x) : erfcFraction(x);
}

/** The Maclaurin series of erf (Abramowitz and Stegun 7.1.6), whose terms are all positive. */
function erfSeries(x: number): number {
  let term = (2 / Math.sqrt(Math.PI)) * x * Math.exp(-x * x);
  let sum = term;
  for (let n = 1; term > sum * Number.EPSILON; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return sum;
}

/** The continued fraction of erfc (Abramowitz and Stegun 7.1.14), from its far end. */
function erfcFraction(x: number): number {
  let fraction = x;
  for (let n = FRACTION_TERMS; n > 0; n -= 1) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

const SERIES_BELOW = 2;
const FRACTION_TERMS = 100;
