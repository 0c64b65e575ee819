import { z } from 'zod';
import { Refusal } from './refusal.js';

/** Parses a body as a schema says; the first thing that is wrong becomes the provider's 400. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = z.safeParse(schema, body, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw new Error('a failed parse names no issue');
  const param = spellPath(issue.path);
  if (param === '') throw new Refusal(400, `The request is not valid: ${issue.message}.`);
  if (issue.input === undefined && issue.code === 'invalid_type') {
    throw new Refusal(400, `Missing required parameter: '${param}'.`, {
      param,
      code: 'missing_required_parameter',
    });
  }
  throw new Refusal(400, `Invalid '${param}': ${issue.message}.`, {
    param,
    code: issue.code === 'invalid_type' ? 'invalid_type' : 'invalid_value',
  });
}

/** `messages[0].content`, as the provider spells it. */
function spellPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((spelled, key) => {
    if (typeof key === 'number') return `${spelled}[${key}]`;
    return spelled === '' ? String(key) : `${spelled}.${String(key)}`;
  }, '');
}
