import { hash, randomBytes } from 'node:crypto';

/** The text of a key, as callers send it: `exp_<key id>_<secret>`. The secret may hold `_` itself. */
export interface KeyText {
  readonly id: string;
  readonly secret: string;
}

export function newKeyText(): KeyText {
  return {
    id: randomBytes(ID_BYTES).toString('hex'),
    secret: randomBytes(SECRET_BYTES).toString('base64url'),
  };
}

export function formatKeyText({ id, secret }: KeyText): string {
  return `exp_${id}_${secret}`;
}

/** undefined: it is no key of ours. */
export function parseKeyText(text: string): KeyText | undefined {
  const [, id, secret] = KEY_TEXT.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Fast on purpose: the secret has 256 random bits, which no dictionary holds. */
export function secretHash(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

const ID_BYTES = 12;
const SECRET_BYTES = 32;
const KEY_TEXT = /^exp_([0-9a-f]{24})_([A-Za-z0-9_-]{43})$/;
