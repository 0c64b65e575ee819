/** A UUID as stored and returned: lower-case with dashes. */
export type Uuid = string & { readonly [uuidBrand]: true };
declare const uuidBrand: unique symbol;

const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Accepts any case, with or without braces, any version; undefined for what is not a UUID. */
export function parseUuid(text: string): Uuid | undefined {
  const bare = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text;
  const lower = bare.toLowerCase();
  return CANONICAL.test(lower) ? (lower as Uuid) : undefined;
}

/** True only for the canonical spelling. */
export function isCanonicalUuid(text: string): text is Uuid {
  return CANONICAL.test(text);
}

export function uuidBytes(uuid: Uuid): Uint8Array {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

export function uuidFromBytes(bytes: Uint8Array): Uuid {
  const hex = Buffer.from(bytes).toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  const uuid = parts.join('-');
  if (!isCanonicalUuid(uuid)) throw new RangeError('a UUID has 16 bytes');
  return uuid;
}
