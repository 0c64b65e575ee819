import { Fault, type FieldViolation, invalidFields } from '../domain/fault.js';
import {
  PROPERTIES_MAX,
  PROPERTY_KEY_LENGTH_MAX,
  PROPERTY_VALUE_LENGTH_MAX,
  shortTextRule,
  shown,
  type TextRule,
} from '../domain/text-rules.js';
import type { Properties } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';

/**
 * Collects what is wrong with a request, so that one answer names all bad fields. Each check answers a usable value
 * even for a bad field; `done` throws when there was one.
 */
export class RequestCheck {
  readonly #violations: FieldViolation[] = [];
  readonly #strictIds: boolean;

  constructor(rules: { readonly strictIds: boolean } = { strictIds: false }) {
    this.#strictIds = rules.strictIds;
  }

  bad(field: string, description: string): void {
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push({ field, description });
  }

  done(): void {
    if (this.#violations.length > 0) throw invalidFields(this.#violations);
  }

  required(field: string, text: string, rule: TextRule): string {
    if (text === '') this.bad(field, 'is required');
    else this.#apply(field, text, rule);
    return text;
  }

  /** Empty means absent. */
  optional(field: string, text: string, rule: TextRule): string | undefined {
    if (text === '') return undefined;
    this.#apply(field, text, rule);
    return text;
  }

  /** For ids that may be new: one that is no UUID is replaced by a fresh one, and flagged, where that is not refused. */
  newExperienceId(field: string, text: string): string | undefined {
    if (text.length > EXPERIENCE_ID_LENGTH_MAX)
      this.bad(field, `must be at most ${EXPERIENCE_ID_LENGTH_MAX} characters`);
    else if (text !== '' && this.#strictIds && parseUuid(text) === undefined)
      this.bad(field, 'must be a UUID');
    return text === '' ? undefined : text;
  }

  /** For ids that must name something that exists: what is no UUID names nothing. */
  experienceId(field: string, text: string): Uuid {
    if (text === '') {
      this.bad(field, 'is required');
      this.done();
    }
    const id = parseUuid(text);
    if (id === undefined) {
      this.done();
      throw new Fault('EXPERIENCE_NOT_FOUND', `There is no experience '${shown(text)}'.`, {
        metadata: { experience_id: shown(text) },
      });
    }
    return id;
  }

  /** 0 means absent. */
  version(field: string, version: number): number | undefined {
    if (version < 0) this.bad(field, 'must not be negative');
    return version === 0 ? undefined : version;
  }

  /** 0 means the default; too large means the most there is. */
  pageSize(size: number): number {
    if (size < 0) this.bad('page_size', 'must not be negative');
    return size === 0 ? PAGE_SIZE_DEFAULT : Math.min(size, PAGE_SIZE_MAX);
  }

  /** How many items to leave out. */
  skip(count: number, max: number): number {
    if (count < 0 || count > max) this.bad('skip', `must be from 0 to ${max}`);
    return count;
  }

  /** A 64-bit count as the wire has it. */
  count(field: string, text: string, max: bigint): bigint {
    const value = BigInt(text);
    if (value < 0n) this.bad(field, 'must not be negative');
    else if (value > max) this.bad(field, `must not be more than ${max}`);
    return value;
  }

  properties(field: string, map: Readonly<Record<string, string>>): Properties {
    const entries = Object.entries(map);
    if (entries.length > PROPERTIES_MAX)
      this.bad(field, `has ${entries.length} keys, more than ${PROPERTIES_MAX}`);
    for (const [key, value] of entries.slice(0, PROPERTIES_MAX)) {
      if (key === '') this.bad(field, 'has an empty key');
      this.#apply(`${field}[${shown(key)}]`, key, KEY_RULE);
      this.#apply(`${field}[${shown(key)}]`, value, VALUE_RULE);
    }
    return new Map(entries);
  }

  /** Labels to set and to remove; none may be both. */
  labelChange({ set, remove }: LabelChange): {
    readonly set: Properties;
    readonly remove: readonly string[];
  } {
    const properties = this.properties('set', set);
    for (const key of remove) {
      if (properties.has(key)) this.bad('remove', `names '${shown(key)}', which is set too`);
    }
    return { set: properties, remove };
  }

  #apply(field: string, text: string, rule: TextRule): void {
    const wrong = rule(text);
    if (wrong !== undefined) this.bad(field, wrong);
  }
}

interface LabelChange {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

const VIOLATIONS_MAX = 100;
const EXPERIENCE_ID_LENGTH_MAX = 1_024;
const PAGE_SIZE_DEFAULT = 50;
const PAGE_SIZE_MAX = 1_000;
const KEY_RULE = shortTextRule(PROPERTY_KEY_LENGTH_MAX);
const VALUE_RULE: TextRule = (text) =>
  text.length <= PROPERTY_VALUE_LENGTH_MAX
    ? undefined
    : `must be at most ${PROPERTY_VALUE_LENGTH_MAX} characters`;
