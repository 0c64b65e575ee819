import { type JsonRecord, shortTextOf } from './json-value.js';
import type { ProviderAnswer } from './provider-contract.js';

/** Who answered, and under which id. */
export function answerFacts(body: JsonRecord): Pick<ProviderAnswer, 'model' | 'responseId'> {
  const model = shortTextOf(body.model);
  const responseId = shortTextOf(body.id);
  return { ...(model === undefined ? {} : { model }), ...(responseId === undefined ? {} : { responseId }) };
}
