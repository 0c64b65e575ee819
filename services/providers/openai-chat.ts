import { answerFacts } from './answer-facts.js';
import { promptTextOf, promptUnitsOf } from './estimated-units.js';
import { addMember, memberText } from './json-member.js';
import { isRecord, type JsonRecord, listOf, recordOf } from './json-value.js';
import { OpenAiChatStream } from './openai-chat-stream.js';
import { toldByOpenAi } from './openai-usage.js';
import { definitionTexts, promptTexts } from './prompt-texts.js';
import type { ProviderAnswer, ProviderRequest, ProviderWire } from './provider-contract.js';
import { modelOf, once, requestBody, requireMember, streamOf, unchanged } from './request-members.js';
import { countTokens, tokenEncodingOf } from './token-count.js';
import { usageOf } from './told-usage.js';

/** Chat completions. Source: OpenAI API reference, "Create chat completion". */
export const openAiChat: ProviderWire = {
  name: 'openai.chat',
  readRequest,
  readAnswer,
  openStream: (request) => new OpenAiChatStream(request),
};

function readRequest(body: unknown): ProviderRequest {
  const members = requestBody(body);
  requireMember(members, 'messages');
  const model = modelOf(members);
  const stream = streamOf(members);
  const wantsUsage = recordOf(members.stream_options).include_usage === true;
  const prompt = promptTexts(members.messages);
  return {
    model,
    stream,
    wantsUsage,
    ...(stream && !wantsUsage ? withUsage(members) : unchanged(body)),
    hasImages: prompt.imageTokens.length > 0,
    promptUnits: once(() => {
      const definitions = definitionTexts(members.tools, members.functions, members.response_format);
      const texts = [...prompt.texts, ...definitions];
      const frame = BigInt(listOf(members.messages).length) * MESSAGE_TOKENS + ANSWER_START_TOKENS;
      return promptUnitsOf({ ...prompt, texts }, frame, tokenEncodingOf(model));
    }),
  };
}

/** Usage forced on; the caller's other options of the stream stay. */
function withUsage(members: JsonRecord): Pick<ProviderRequest, 'upstreamBody' | 'upstreamText'> {
  const options = members.stream_options;
  return {
    upstreamBody: { ...members, stream_options: { ...recordOf(options), include_usage: true } },
    upstreamText: (text) => {
      const said = isRecord(options) ? (memberText(text, 'stream_options') ?? '{}') : '{}';
      return addMember(text, 'stream_options', addMember(said, 'include_usage', 'true'));
    },
  };
}

function readAnswer(body: unknown, request: ProviderRequest): ProviderAnswer {
  if (!isRecord(body) || !Array.isArray(body.choices)) return { unitsBasis: 'unknown' };
  const facts = answerFacts(body);
  const told = toldByOpenAi(body.usage, promptTextOf(request));
  const messages = body.choices.map((choice) => recordOf(choice).message);
  const output = () => countTokens(promptTexts(messages).texts, tokenEncodingOf(request.model));
  return { ...facts, ...usageOf(told, request, output) };
}

/** What a message has beside its text: its frame, and the role. Source: OpenAI cookbook, "How to count tokens". */
export const MESSAGE_TOKENS = 4n;
export const ANSWER_START_TOKENS = 3n;
