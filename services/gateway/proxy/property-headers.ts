import {
  PROPERTIES_MAX,
  PROPERTY_KEY_LENGTH_MAX,
  PROPERTY_VALUE_LENGTH_MAX,
} from '../../domain/text-rules.js';
import { HttpFault } from '../http-fault.js';

/**
 * A header with properties: a JSON object of strings, plain as the clients send it or in Base64 as the documents say. A
 * property that is null is left out. The text is the caller's, and no fault shows it.
 */
export function propertiesOf(header: string, text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  const invalid = (what: string): HttpFault => new HttpFault(400, 'invalid_json', `${header} ${what}.`);
  const value = jsonOf(text.startsWith('{') ? text : Buffer.from(text, 'base64').toString('utf8'));
  if (value === undefined) throw invalid('is no JSON');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('is no JSON object');
  const properties = Object.entries(value).filter(([, each]) => each !== null);
  if (properties.length > PROPERTIES_OF_CALLER_MAX)
    throw invalid(`has more than ${PROPERTIES_OF_CALLER_MAX} properties`);
  for (const [key, each] of properties) {
    if (typeof each !== 'string') throw invalid('has a value that is no string');
    if (key === '' || key.length > PROPERTY_KEY_LENGTH_MAX || each.length > PROPERTY_VALUE_LENGTH_MAX)
      throw invalid('has a key or a value that is too long');
  }
  return Object.fromEntries(properties);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A few are kept for what the gateway itself says of a call. */
const PROPERTIES_OF_CALLER_MAX = PROPERTIES_MAX - 4;
