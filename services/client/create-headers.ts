/**
 * What a call through the gateway says beside what it says to the provider. All of it is optional; what is absent, null,
 * empty or 0 is left out. Text is trimmed.
 */
export interface ExperienceHeaders {
  /** The caller's own key for Experiences; that of the provider stays where the provider's client puts it. */
  readonly apiKey?: Text;
  /** UUID of the experience that the call belongs to; one that is not there yet is made with it. */
  readonly experienceId?: Text;
  /** Name of the experience type; without an id each call is an experience of its own. */
  readonly experienceName?: Text;
  /** A whole number from 1; absent: the type's current version. */
  readonly experienceVersion?: number | null | undefined;
  /** Which step of the experience the call is. */
  readonly step?: Text;
  readonly userId?: Text;
  readonly accountName?: Text;
  readonly requestTags?: Texts;
  /** UUIDs of limits that the call is charged to, beside the experience's own. */
  readonly limitIds?: Texts;
  /** Of the call. */
  readonly requestProperties?: Properties;
  /** Of its experience. */
  readonly experienceProperties?: Properties;
  /** The call is priced as this category's (`system.openai`) resource (`gpt-4o-mini`); absent: as the provider's model. */
  readonly priceAsCategory?: Text;
  readonly priceAsResource?: Text;
  /** Where the provider is, if not at its own address: `https://host`, one of those that the gateway allows. */
  readonly providerBaseUri?: Text;
  /** Headers for the provider that the gateway passes on as they are, by their names. */
  readonly forward?: Properties;
}

type Text = string | null | undefined;
type Texts = readonly Text[] | null | undefined;
type Properties = Readonly<Record<string, Text>> | null | undefined;

/**
 * The `xProxy-*` headers of a call through the gateway, for a whole client (`defaultHeaders`) or for one call (`headers`).
 * Throws RangeError for what HTTP cannot carry, instead of letting it get lost or changed on the way; the message names
 * the header and does not show the value.
 */
export function createHeaders(of: ExperienceHeaders): Record<string, string> {
  const pairs: Record<string, string | undefined> = {
    'xProxy-api-key': text(of.apiKey),
    'xProxy-Experience-ID': text(of.experienceId),
    'xProxy-Experience-Name': text(of.experienceName),
    'xProxy-Experience-Version': version(of.experienceVersion),
    'xProxy-UseCase-Step': text(of.step),
    'xProxy-User-ID': text(of.userId),
    'xProxy-Account-Name': text(of.accountName),
    'xProxy-Request-Tags': list('xProxy-Request-Tags', of.requestTags),
    'xProxy-Limit-IDs': list('xProxy-Limit-IDs', of.limitIds),
    'xProxy-Request-Properties': properties(of.requestProperties),
    'xProxy-UseCase-Properties': properties(of.experienceProperties),
    'xProxy-PriceAs-Category': text(of.priceAsCategory),
    'xProxy-PriceAs-Resource': text(of.priceAsResource),
    'xProxy-Provider-BaseUri': text(of.providerBaseUri),
    ...Object.fromEntries(
      Object.entries(of.forward ?? {}).map(([name, value]) => [`xProxy-Forward-${name}`, text(value)]),
    ),
  };
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(pairs)) {
    if (value === undefined) continue;
    // RFC 9110, section 5.1: a field name is a token; section 5.5: a value is safe in visible ASCII, spaces between.
    if (!TOKEN.test(name)) throw new RangeError(`'${name.slice(0, NAME_LENGTH_SHOWN)}' is no header name`);
    if (!PRINTABLE_ASCII.test(value)) throw new RangeError(`${name} must be printable ASCII`);
    headers[name] = value;
  }
  return headers;
}

function text(value: Text): string | undefined {
  return value?.trim() || undefined;
}

function version(value: number | null | undefined): string | undefined {
  if (value === undefined || value === null || value === 0) return undefined;
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError('xProxy-Experience-Version must be a whole number from 1');
  }
  return value.toString();
}

/** Items are set apart by commas, which HTTP has no way to escape here. */
function list(name: string, items: Texts): string | undefined {
  const texts = (items ?? []).flatMap((item) => text(item) ?? []);
  if (texts.some((item) => item.includes(','))) {
    throw new RangeError(`an item of ${name} must not have a comma in it`);
  }
  return texts.length === 0 ? undefined : texts.join(',');
}

/** JSON in ASCII alone: what is beyond is escaped (RFC 8259, section 7), so that any text can be a property. */
function properties(of: Properties): string | undefined {
  const given = Object.entries(of ?? {}).filter(([, value]) => value !== undefined && value !== null);
  if (given.length === 0) return undefined;
  return JSON.stringify(Object.fromEntries(given)).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
const NAME_LENGTH_SHOWN = 64;
