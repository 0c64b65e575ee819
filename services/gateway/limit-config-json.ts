import { z } from 'zod';
import type { LimitConfig, NewLimitConfig } from '../client/index.js';
import { DECIMAL, optional } from './body-fields.js';
import { exactNumber } from './json-text.js';

/** The limit that each new experience of a type gets, as this API writes it. */
export function toJsonLimitConfig({ maxCost, type, threshold, tags }: LimitConfig): object {
  return {
    max: exactNumber(maxCost),
    limit_type: type === 'BLOCK' ? 'block' : 'allow',
    threshold: exactNumber(threshold),
    ...(tags.length === 0 ? {} : { limit_tags: tags }),
  };
}

/** `block` or `allow` in any case. */
export const LIMIT_TYPE = z.string().transform((text, context) => {
  const type = text.toUpperCase();
  if (type === 'BLOCK' || type === 'ALLOW') return type;
  context.addIssue({ code: 'custom', message: "must be 'block' or 'allow'" });
  return z.NEVER;
});

export const LIMIT_CONFIG = z
  .object({
    max: DECIMAL,
    limit_type: optional(LIMIT_TYPE),
    threshold: optional(DECIMAL),
    limit_tags: optional(z.array(z.string())),
  })
  .transform(
    ({ max, limit_type, threshold, limit_tags }): NewLimitConfig => ({
      maxCost: max,
      ...(limit_type === undefined ? {} : { type: limit_type }),
      ...(threshold === undefined ? {} : { threshold }),
      ...(limit_tags === undefined ? {} : { tags: limit_tags }),
    }),
  );
