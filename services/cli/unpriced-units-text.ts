import type { UnpricedUnits } from '../client/index.js';

/** Why units have no price, for people: `openai gpt-9, text: no price is known for the model`. */
export function unpricedUnitsText(
  call: { readonly provider: string; readonly model: string },
  { kind, reason }: UnpricedUnits,
): string {
  return `${call.provider} ${call.model}, ${kind}: ${REASONS[reason] ?? reason}`;
}

const REASONS: Readonly<Record<string, string>> = {
  PROVIDER_UNKNOWN: 'no price names the provider',
  MODEL_UNKNOWN: 'no price names the model',
  NO_PRICE_AT_TIME: 'the model had no price at the time of the call',
  UNIT_KIND_NOT_PRICED: "the model's price does not cover this kind of unit",
};
