import { isRecord, type JsonRecord, textOf } from './json-value.js';
import { type ProviderRequest, WireFault } from './provider-contract.js';

/** The body as an object. Throws {@link WireFault}. */
export function requestBody(body: unknown): JsonRecord {
  if (isRecord(body)) return body;
  throw new WireFault('The body must be a JSON object.');
}

/** The model as sent. Throws {@link WireFault}; `absent` stands for one that may be left out. */
export function modelOf(body: JsonRecord, absent?: string): string {
  const { model } = body;
  if ((model === undefined || model === null) && absent !== undefined) return absent;
  const name = textOf(model);
  if (name === undefined || name === '') throw new WireFault("The member 'model' must be a text.", 'model');
  if (name.length > MODEL_LENGTH_MAX || CONTROL_CHARACTER.test(name)) {
    const message = `The member 'model' must be at most ${MODEL_LENGTH_MAX} characters without control characters.`;
    throw new WireFault(message, 'model');
  }
  return name;
}

/** Throws {@link WireFault}. */
export function streamOf(body: JsonRecord): boolean {
  const { stream } = body;
  if (stream === undefined || stream === null) return false;
  if (typeof stream === 'boolean') return stream;
  throw new WireFault("The member 'stream' must be true or false.", 'stream');
}

/** Throws {@link WireFault} where a member is missing that such a request cannot be without. */
export function requireMember(body: JsonRecord, name: string): void {
  if (body[name] === undefined || body[name] === null) {
    throw new WireFault(`The member '${name}' is missing.`, name);
  }
}

/** Of a request that goes to the provider as it came. */
export function unchanged(body: unknown): Pick<ProviderRequest, 'upstreamBody' | 'upstreamText'> {
  return { upstreamBody: body, upstreamText: (text) => text };
}

export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** What is recorded where nobody says which model it was; it has no price. */
export const UNKNOWN_MODEL = 'unknown_model';
/** What the ledger takes. */
const MODEL_LENGTH_MAX = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is its purpose.
const CONTROL_CHARACTER = /[\x00-\x1f\x7f]/;
