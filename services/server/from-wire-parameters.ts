import { PARAMETERS_LENGTH_MAX } from '../domain/run.js';
import type { RequestCheck } from './request-check.js';

/** A JSON object for a workflow. */
export function fromParametersJson(json: string, check: RequestCheck): Record<string, unknown> {
  if (json.length > PARAMETERS_LENGTH_MAX) {
    check.bad('parameters_json', `must be at most ${PARAMETERS_LENGTH_MAX} characters`);
    return {};
  }
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Answered below, as for JSON that is not an object.
  }
  check.bad('parameters_json', 'must be a JSON object');
  return {};
}
