import { canonicalUnits, type Units } from '../../domain/units.js';
import { countOf, recordOf } from '../../providers/json-value.js';
import { promptTexts } from '../../providers/prompt-texts.js';
import { TEXT, VISION } from '../../providers/unit-kinds.js';

/**
 * About what a request uses: what stands for a call that is lost between the provider and the ledger. Its prompt is taken
 * from the length of the texts and not counted, because it is made for every call and needed for hardly any; what is
 * answered is in it at the most that the caller lets it be, and not at all where the caller sets no bound.
 */
export function callEstimate(body: unknown): Units {
  const { texts, imageTokens } = promptTexts(body);
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  return canonicalUnits(
    new Map([
      [TEXT, { input: BigInt(Math.ceil(characters / CHARACTERS_A_TOKEN)), output: outputMax(body) }],
      [VISION, { input: imageTokens.reduce((sum, tokens) => sum + tokens, 0n), output: 0n }],
    ]),
  );
}

/** As chat completions (its name now, and before), messages and responses name it; a chat may want several answers. */
function outputMax(body: unknown): bigint {
  const { max_completion_tokens, max_tokens, max_output_tokens, n } = recordOf(body);
  const tokens = countOf(max_completion_tokens) ?? countOf(max_tokens) ?? countOf(max_output_tokens) ?? 0n;
  const all = tokens * (countOf(n) ?? 1n);
  return all < OUTPUT_TOKENS_MAX ? all : OUTPUT_TOKENS_MAX;
}

/** Of English prose; most other texts have fewer, so their estimate is low. */
const CHARACTERS_A_TOKEN = 4;
/** More than any model answers: a bound that is set without thought must neither be charged nor refused. */
const OUTPUT_TOKENS_MAX = 1_000_000n;
