import {
  ATTRIBUTION_HEADER,
  type AttributionHeader,
  decodeAttributionHeader,
  encodeAttributionHeader,
  type HeaderPayload,
  parseAttributionHeader,
} from '../../services/domain/attribution-header.js';

/** Temporal's headers, as both the workflow and the activity side have them. */
export type Headers<Payload extends HeaderPayload = HeaderPayload> = Record<string, Payload>;

/** undefined: the workflow was not started as an experience. */
export function readAttribution(headers: Readonly<Headers>): AttributionHeader | undefined {
  return decodeAttributionHeader(headers[ATTRIBUTION_HEADER]);
}

/** The same headers with the attribution among them. */
export function withAttribution<Payload extends HeaderPayload>(
  headers: Readonly<Headers<Payload>>,
  attribution: AttributionHeader | undefined,
): Headers<Payload> {
  if (attribution === undefined) return { ...headers };
  // The codec writes the shape that every Temporal package calls Payload.
  return { ...headers, [ATTRIBUTION_HEADER]: encodeAttributionHeader(attribution) as Payload };
}

/** Nexus has headers of text, whose names are compared without regard to case. */
export function readTextAttribution(
  headers: Readonly<Record<string, string>>,
): AttributionHeader | undefined {
  const found = Object.entries(headers).find(([name]) => name.toLowerCase() === ATTRIBUTION_HEADER);
  return found === undefined ? undefined : parseAttributionHeader(found[1]);
}

export function withTextAttribution(
  headers: Readonly<Record<string, string>> | undefined,
  attribution: AttributionHeader | undefined,
): Record<string, string> {
  if (attribution === undefined) return { ...headers };
  return { ...headers, [ATTRIBUTION_HEADER]: JSON.stringify(attribution) };
}
