import { anthropicMessages } from './anthropic-messages.js';
import { openAiChat } from './openai-chat.js';
import { openAiEmbeddings } from './openai-embeddings.js';
import { openAiImages } from './openai-images.js';
import { openAiResponses } from './openai-responses.js';
import type { ProviderWire } from './provider-contract.js';

export { addMember } from './json-member.js';
export {
  NotMetered,
  type ProviderAnswer,
  type ProviderRequest,
  type ProviderStream,
  type ProviderWire,
  type StreamEvent,
  type StreamStep,
  WireFault,
} from './provider-contract.js';

/** How requests of a path are read; `path` is what stands below `/v1/`. undefined: it is not one that is metered. */
export function wireOf(provider: 'openai' | 'anthropic', path: string): ProviderWire | undefined {
  return WIRES.get(`${provider} ${path}`);
}

const WIRES: ReadonlyMap<string, ProviderWire> = new Map([
  ['openai chat/completions', openAiChat],
  ['openai responses', openAiResponses],
  ['openai embeddings', openAiEmbeddings],
  ['openai images/generations', openAiImages],
  ['openai images/edits', openAiImages],
  ['anthropic messages', anthropicMessages],
]);
