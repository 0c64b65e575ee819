import { z } from 'zod';
import { optional, wholeNumber } from '../body-fields.js';
import { attributionOf, type CallAttribution } from '../proxy/attribution-headers.js';

/** Early clients write it as a text. */
const VERSION = optional(
  z.union([
    wholeNumber(0, 2 ** 31 - 1),
    z
      .string()
      .regex(/^\d{1,10}$/)
      .transform(Number),
  ]),
);

/** What an item of `ingest/bulk` says of itself, where a single event says it in headers. */
export const ITEM_ATTRIBUTION = z.object({
  experience_id: optional(z.string()),
  experience_name: optional(z.string()),
  experience_version: VERSION,
  use_case_id: optional(z.string()),
  use_case_name: optional(z.string()),
  use_case_version: VERSION,
  use_case_step: optional(z.string()),
  user_id: optional(z.string()),
  account_name: optional(z.string()),
  request_tags: optional(z.array(z.string())),
  limit_ids: optional(z.array(z.string())),
  scope: optional(z.string()),
});

/** By the rules of the headers, so that a call is attributed the same whichever way it comes. */
export function attributionOfItem(item: z.output<typeof ITEM_ATTRIBUTION>): CallAttribution {
  const said: Readonly<Record<string, string | undefined>> = {
    'experience-id': item.experience_id,
    'experience-name': item.experience_name,
    'experience-version': versionText(item.experience_version),
    'usecase-id': item.use_case_id,
    'usecase-name': item.use_case_name,
    'usecase-version': versionText(item.use_case_version),
    'usecase-step': item.use_case_step,
    'user-id': item.user_id,
    'account-name': item.account_name,
    'request-tags': item.request_tags?.join(','),
    'resource-scope': item.scope,
    'limit-ids': item.limit_ids?.join(','),
  };
  const headers = Object.entries(said).map(([name, value]) => [`xproxy-${name}`, value]);
  return attributionOf(Object.fromEntries(headers));
}

/** 0 is sent for none. */
function versionText(version: number | undefined): string | undefined {
  return version === undefined || version === 0 ? undefined : String(version);
}
