import type { Properties } from '../domain/usage.js';
import type { Label } from './documents.js';

/** Labels are lists of key and value, so that no client's string becomes a field name. */
export function toLabels(properties: Properties): Label[] {
  return [...properties].map(([k, v]) => ({ k, v }));
}

export function fromLabels(labels: readonly Label[] | undefined): Properties {
  return new Map((labels ?? []).map(({ k, v }) => [k, v]));
}
