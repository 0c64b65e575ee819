/**
 * A number as JSON may write it, as a decimal string with the same digits and no exponent: Python writes `1e-08`.
 * Undefined: it is no number, or one with so many digits that no amount has them.
 */
export function plainDecimal(literal: string): string | undefined {
  if (literal.length > LITERAL_LENGTH_MAX) return undefined;
  const [, sign = '', integer = '', fraction = '', power = '0'] = NUMBER.exec(literal) ?? [];
  if (integer === '') return undefined;
  const exponent = Number(power);
  if (Math.abs(exponent) > EXPONENT_MAX) return undefined;
  const point = integer.length + exponent;
  const digits = `${'0'.repeat(Math.max(0, 1 - point))}${integer}${fraction}`;
  const at = Math.max(1, point);
  const whole = digits
    .slice(0, at)
    .padEnd(at, '0')
    .replace(/^0+(?=\d)/, '');
  const rest = digits.slice(at).replace(/0+$/, '');
  const text = rest === '' ? whole : `${whole}.${rest}`;
  return text === '0' ? text : `${sign}${text}`;
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?$/;
const LITERAL_LENGTH_MAX = 64;
/** Of what the service takes: 16 digits before the point, 18 behind it. */
const EXPONENT_MAX = 64;
