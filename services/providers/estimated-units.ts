import { canonicalUnits, type UnitKind, type Units } from '../domain/units.js';
import type { PromptTexts } from './prompt-texts.js';
import type { ProviderRequest } from './provider-contract.js';
import { countTokens, type TokenEncoding } from './token-count.js';
import { TEXT, VISION } from './unit-kinds.js';

/** Units of a prompt: `frame` tokens are what the protocol puts around the texts. */
export function promptUnitsOf(prompt: PromptTexts, frame: bigint, encoding: TokenEncoding): Units {
  const text = countTokens(prompt.texts, encoding) + frame;
  const images = prompt.imageTokens.reduce((sum, tokens) => sum + tokens, 0n);
  return canonicalUnits(
    new Map([
      [TEXT, { input: text, output: 0n }],
      [VISION, { input: images, output: 0n }],
    ]),
  );
}

/** The units with so much output of a kind added. */
export function withOutput(units: Units, kind: UnitKind, output: bigint): Units {
  const before = units.get(kind) ?? { input: 0n, output: 0n };
  return canonicalUnits(new Map([...units, [kind, { input: before.input, output: before.output + output }]]));
}

/** The tokens of a prompt's text, where the provider's count of its input is text and images together. */
export function promptTextOf(request: ProviderRequest): bigint | undefined {
  return request.hasImages ? (request.promptUnits().get(TEXT)?.input ?? 0n) : undefined;
}

/** What a request that failed before its answer began costs: no provider charges for it. */
export const NOTHING_USED: Units = new Map();
