import { z } from 'zod';
import type { FieldCodes } from './error-table.js';
import { HttpFault } from './http-fault.js';
import { isLosslessNumber } from './json-text.js';
import { plainDecimal } from './plain-decimal.js';

/**
 * Reads a body by a schema. Members that it does not name are ignored, as clients of other versions send them. What is
 * missing is `required_field_missing`; what is wrong is `wrongCode`, but for the fields that `fieldCodes` names.
 */
export function readBody<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
  wrongCode = 'request_processing_error',
  fieldCodes: FieldCodes = {},
): z.output<Schema> {
  if (typeof body !== 'object' || body === null)
    throw new HttpFault(400, 'required_field_missing', 'The body must be JSON and hold what this needs.');
  const read = schema.safeParse(body, { error: textOf });
  if (read.success) return read.data;
  const [first] = read.error.issues;
  const path = first?.path.map(String).join('.').slice(0, SHOWN_LENGTH_MAX) ?? '';
  if (first !== undefined && isMissing(body, first.path))
    throw new HttpFault(400, 'required_field_missing', `The field '${path}' is required.`);
  const code = fieldCodes[String(first?.path[0])] ?? wrongCode;
  throw new HttpFault(400, code, `The field '${path}' is not valid: ${first?.message ?? 'it is wrong'}`);
}

/** In words of our own: those of the parser name its parts, and ours. */
function textOf(issue: { readonly code?: string | undefined; readonly expected?: unknown }): string {
  if (issue.code === 'invalid_type') return TEXT_OF_TYPE[String(issue.expected)] ?? 'it is of another type';
  if (issue.code === 'too_small') return 'it is too short';
  if (issue.code === 'too_big') return 'it is too long';
  return 'it is wrong';
}

const TEXT_OF_TYPE: Readonly<Record<string, string>> = {
  string: 'must be a text',
  boolean: 'must be true or false',
  array: 'must be an array',
  object: 'must be an object',
  record: 'must be an object',
};

/** Null counts as absent: clients send it for what they leave out. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** A number or a text of one, as a decimal string without exponent and with all its digits: `1e-08` is `0.00000001`. */
export const DECIMAL = z.unknown().transform((value, context) => {
  const text = isLosslessNumber(value) ? value.value : value;
  const decimal = typeof text === 'string' ? plainDecimal(text) : undefined;
  if (decimal !== undefined) return decimal;
  context.addIssue({ code: 'custom', message: 'must be a number' });
  return z.NEVER;
});

/** A whole number, however it is written: `5`, `5.0`, `5e0`. */
export function wholeNumber(min: number, max: number) {
  return z.unknown().transform((value, context) => {
    const decimal = isLosslessNumber(value) ? plainDecimal(value.value) : undefined;
    const number = decimal !== undefined && /^-?\d+$/.test(decimal) ? Number(decimal) : Number.NaN;
    if (number >= min && number <= max) return number;
    context.addIssue({ code: 'custom', message: `must be a whole number from ${min} to ${max}` });
    return z.NEVER;
  });
}

function isMissing(body: unknown, path: readonly PropertyKey[]): boolean {
  let value = body;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return false;
    value = Object.getOwnPropertyDescriptor(value, key)?.value;
  }
  return value === undefined || value === null;
}

const SHOWN_LENGTH_MAX = 128;
