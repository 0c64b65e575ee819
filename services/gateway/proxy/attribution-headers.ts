import type { IncomingHttpHeaders } from 'node:http';
import {
  MODEL_LENGTH_MAX,
  PROVIDER_LENGTH_MAX,
  STEP_LENGTH_MAX,
  shortTextRule,
  TAGS_MAX,
  type TextRule,
  tagRule,
  typeNameRule,
  USER_ID_LENGTH_MAX,
  userIdRule,
} from '../../domain/text-rules.js';
import { parseUuid } from '../../domain/uuid.js';
import { HttpFault } from '../http-fault.js';
import { propertiesOf } from './property-headers.js';

/** The property of a call that is priced as another model: which one was asked for. */
export const ASKED_MODEL = 'system.requested_model';

/** To what a call belongs, as its headers say. Absent members were not given. */
export interface CallAttribution {
  /** As sent; it need not be a UUID. */
  readonly experienceId?: string;
  readonly experienceType?: string;
  readonly experienceVersion?: number;
  readonly userId?: string;
  readonly requestTags: readonly string[];
  readonly limitIds: readonly string[];
  readonly step?: string;
  readonly accountName?: string;
  /** Where the provider works: `global`, `datazone…` or `region…`. It is kept, and no price depends on it. */
  readonly resourceScope?: string;
  /** Of the call. */
  readonly properties: Readonly<Record<string, string>>;
  /** Of its experience. */
  readonly experienceProperties: Readonly<Record<string, string>>;
  /** By which price it is paid, instead of that of the model that answers. */
  readonly priceAs: { readonly provider?: string; readonly model?: string };
}

/**
 * Reads the headers of both eras, of experiences and of use cases, in any case. An empty header says nothing. Throws the
 * documented code for what cannot be meant, so that nothing is spent for it.
 */
export function attributionOf(headers: IncomingHttpHeaders): CallAttribution {
  const read = (...names: readonly string[]): string | undefined => readHeader(headers, names);
  const experienceType = checked(
    'xProxy-Experience-Name',
    read('xproxy-experience-name', 'xproxy-usecase-name'),
    typeNameRule,
    'experience_type_not_found',
  );
  const userId = checked('xProxy-User-ID', read('xproxy-user-id'), userIdRule, 'invalid_user_id');
  const step = checked(
    'xProxy-UseCase-Step',
    read('xproxy-usecase-step'),
    shortTextRule(STEP_LENGTH_MAX),
    INVALID,
  );
  const accountName = checked(
    'xProxy-Account-Name',
    read('xproxy-account-name'),
    shortTextRule(USER_ID_LENGTH_MAX),
    INVALID,
  );
  const resourceScope = checked(
    'xProxy-Resource-Scope',
    read('xproxy-resource-scope'),
    shortTextRule(SCOPE_LENGTH_MAX),
    INVALID,
  );
  const experienceVersion = versionOf(read('xproxy-experience-version', 'xproxy-usecase-version'));
  const experienceId = read('xproxy-experience-id', 'xproxy-usecase-id');
  return {
    ...(experienceId === undefined ? {} : { experienceId }),
    ...(experienceType === undefined ? {} : { experienceType }),
    ...(experienceVersion === undefined ? {} : { experienceVersion }),
    ...(userId === undefined ? {} : { userId }),
    ...(step === undefined ? {} : { step }),
    ...(accountName === undefined ? {} : { accountName }),
    ...(resourceScope === undefined ? {} : { resourceScope }),
    requestTags: tagsOf(read('xproxy-request-tags')),
    limitIds: limitIdsOf(read('xproxy-limit-ids', 'xproxy-budget-ids')),
    properties: {
      ...propertiesOf('xProxy-Request-Properties', read('xproxy-request-properties')),
      ...(accountName === undefined ? {} : { 'system.account_name': accountName }),
      ...(resourceScope === undefined ? {} : { 'system.resource_scope': resourceScope }),
    },
    experienceProperties: propertiesOf(
      'xProxy-Experience-Properties',
      read('xproxy-experience-properties', 'xproxy-usecase-properties'),
    ),
    priceAs: priceAsOf(
      read('xproxy-priceas-category'),
      headers['xproxy-priceas-resource'] === undefined
        ? read('xproxy-routeas-resource')
        : read('xproxy-priceas-resource'),
    ),
  };
}

/** undefined: there is nothing to be said. */
export function scopeWarning({ resourceScope }: CallAttribution): string | undefined {
  if (resourceScope === undefined || resourceScope.toLowerCase() === 'global') return undefined;
  return `The resource scope '${resourceScope}' is kept as a property; the price is that of the global scope.`;
}

/** The header by its first name that says something. Two names of one thing must not contradict each other. */
function readHeader(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  let found: string | undefined;
  for (const name of names) {
    const value = headers[name];
    if (value === undefined) continue;
    const text = (Array.isArray(value) ? value.join(',') : value).trim();
    if (text === '' || text === found) continue;
    if (found !== undefined)
      throw new HttpFault(400, INVALID, `The headers ${names.join(' and ')} contradict each other.`);
    found = text;
  }
  return found;
}

function checked(header: string, text: string | undefined, rule: TextRule, code: string): string | undefined {
  const fault = text === undefined ? undefined : rule(text);
  if (fault !== undefined) throw new HttpFault(400, code, `What ${header} says ${fault}.`);
  return text;
}

function versionOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const version = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (version < 1 || version > VERSION_MAX) {
    throw new HttpFault(400, INVALID, 'The version of an experience is a whole number from 1.');
  }
  return version;
}

function tagsOf(text: string | undefined): readonly string[] {
  const tags = listOf(text);
  for (const tag of tags) checked('xProxy-Request-Tags', tag, tagRule, 'invalid_tags');
  if (tags.length > TAGS_MAX)
    throw new HttpFault(400, 'invalid_tags', `There may be ${TAGS_MAX} request tags.`);
  return tags;
}

function limitIdsOf(text: string | undefined): readonly string[] {
  const ids = listOf(text).map((item) => {
    const id = parseUuid(item);
    if (id === undefined)
      throw new HttpFault(400, 'invalid_limit_ids', 'xProxy-Limit-IDs holds what is no id.');
    return id;
  });
  if (new Set(ids).size < ids.length)
    throw new HttpFault(400, 'duplicate_limit_id', 'A limit id is given twice.');
  if (ids.length > LIMIT_IDS_MAX)
    throw new HttpFault(400, 'invalid_limit_ids', `There may be ${LIMIT_IDS_MAX} limit ids.`);
  return ids;
}

/** Comma-separated and trimmed, without empty items. */
function listOf(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `system.x` is the built-in provider x; other categories stand as they are. */
function priceAsOf(category: string | undefined, resource: string | undefined): CallAttribution['priceAs'] {
  const provider = checked(
    'xProxy-PriceAs-Category',
    category?.replace(/^system\./, ''),
    shortTextRule(PROVIDER_LENGTH_MAX),
    'category_not_found',
  );
  const model = checked(
    'xProxy-PriceAs-Resource',
    resource,
    shortTextRule(MODEL_LENGTH_MAX),
    'category_resource_not_found',
  );
  return { ...(provider ? { provider } : {}), ...(model === undefined ? {} : { model }) };
}

const INVALID = 'request_processing_error';
const SCOPE_LENGTH_MAX = 128;
const VERSION_MAX = 2 ** 31 - 1;
/** As the service takes. */
const LIMIT_IDS_MAX = 16;
