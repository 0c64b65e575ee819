import { randomUUID } from 'node:crypto';
import type { ConversationTurn, UsageEvent } from '../../services/client/index.js';
import type { ServedCall, TestProvider } from './provider.js';
import type { TestService } from './service.js';

/** Each about as long as a passage may be, so that each is one. */
export const ISLAND_DOCUMENT = [
  topic('The lighthouse at Kapp Nord is 31 metres tall. The keeper there is Solveig Aas.', 'lamp'),
  topic('The harbour of Småvik has room for 240 boats. The keeper there is Olav Dahl.', 'quay'),
  topic('The school of the island teaches 57 pupils. The headmistress is Ingrid Moe.', 'desk'),
  topic('The bakery opens at five in the morning. Its rye bread costs 42 crowns.', 'oven'),
  topic('The ferry crosses the sound 14 times a day. The captain is Håkon Lie.', 'mast'),
  topic('The quarry gave granite until 1931. The last foreman was Per Vik.', 'rock'),
].join('\n\n');

function topic(facts: string, word: string): string {
  const filler = Array.from(
    { length: 24 },
    (_, line) => `Some ${word}${line} was beside another ${word}${line + 1} that year.`,
  );
  return [facts, ...filler].join(' ');
}

export interface Conversation {
  readonly experienceId: string;
  readonly documentId: string;
  ask(question: string, options?: { readonly turnId?: string }): Promise<ConversationTurn>;
}

/** A conversation about the island, not begun yet. */
export async function newConversation(
  service: TestService,
  options: {
    readonly type?: string;
    readonly parameters?: Record<string, unknown>;
    readonly budget?: string;
    readonly content?: string;
  } = {},
): Promise<Conversation> {
  const { documentId } = await service.client.documents.upload(options.content ?? ISLAND_DOCUMENT);
  const experienceId = randomUUID();
  return {
    experienceId,
    documentId,
    async ask(question, { turnId = randomUUID() } = {}) {
      const { turn } = await service.client.runs.ask({
        experienceId,
        experienceType: options.type ?? 'Document_Chatbot',
        documentId,
        question,
        turnId,
        ...(options.budget === undefined ? {} : { budget: options.budget }),
        ...(options.parameters === undefined ? {} : { parameters: options.parameters }),
      });
      return turn;
    },
  };
}

export async function eventsOf(service: TestService, experienceId: string): Promise<readonly UsageEvent[]> {
  const events: UsageEvent[] = [];
  for await (const event of service.client.usage.list(experienceId)) events.push(event);
  return events;
}

/** [plain input, cached input, output] of each call, sorted. */
export function recordedTokens(events: readonly UsageEvent[]): readonly (readonly number[])[] {
  return events
    .map(({ units }) => [
      Number(units.text?.input ?? 0n),
      Number(units.text_cache_read?.input ?? 0n),
      Number(units.text?.output ?? 0n),
    ])
    .sort(byNumbers);
}

export async function servedTokens(provider: TestProvider): Promise<readonly (readonly number[])[]> {
  const { calls } = await provider.served();
  return calls
    .filter(({ billed }) => billed)
    .map(tokensOf)
    .sort(byNumbers);
}

function tokensOf({ promptTokens, cachedTokens, completionTokens }: ServedCall): readonly number[] {
  return [promptTokens - cachedTokens, cachedTokens, completionTokens];
}

function byNumbers(one: readonly number[], other: readonly number[]): number {
  return one.join().localeCompare(other.join());
}
