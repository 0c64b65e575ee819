import { answerFacts } from './answer-facts.js';
import { promptUnitsOf } from './estimated-units.js';
import { countOf, isRecord, listOf } from './json-value.js';
import { toldByOpenAi } from './openai-usage.js';
import { promptTexts } from './prompt-texts.js';
import type { ProviderAnswer, ProviderRequest, ProviderWire } from './provider-contract.js';
import { modelOf, once, requestBody, requireMember, unchanged } from './request-members.js';
import { tokenEncodingOf } from './token-count.js';
import { UnreadStream } from './unread-stream.js';

/** Embeddings, which are not streamed. Source: OpenAI API reference, "Create embeddings". */
export const openAiEmbeddings: ProviderWire = {
  name: 'openai.embeddings',
  readRequest,
  readAnswer,
  openStream: (request) => new UnreadStream(request),
};

function readRequest(body: unknown): ProviderRequest {
  const members = requestBody(body);
  requireMember(members, 'input');
  const model = modelOf(members);
  return {
    model,
    stream: false,
    wantsUsage: true,
    ...unchanged(body),
    hasImages: false,
    promptUnits: once(() =>
      promptUnitsOf(promptTexts(members.input), givenTokens(members.input), tokenEncodingOf(model)),
    ),
  };
}

/** The input may be tokens already, of one text or of several: then they are counted as they are. */
function givenTokens(input: unknown): bigint {
  let tokens = 0;
  for (const each of listOf(input)) {
    if (countOf(each) !== undefined) tokens += 1;
    else tokens += listOf(each).length;
  }
  return BigInt(tokens);
}

function readAnswer(body: unknown, request: ProviderRequest): ProviderAnswer {
  if (!isRecord(body) || !Array.isArray(body.data)) return { unitsBasis: 'unknown' };
  const told = toldByOpenAi(body.usage);
  const known = answerFacts(body);
  // Servers that do not count say zero. There is no output to be told.
  return told === undefined || told.units.size === 0
    ? { ...known, units: request.promptUnits(), unitsBasis: 'estimated' }
    : { ...known, units: told.units, unitsBasis: 'reported' };
}
