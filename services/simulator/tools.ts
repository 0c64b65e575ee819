import { z } from 'zod';
import type { ChatMessage } from './chat-message.js';
import { contentWords } from './words.js';

/** A function that the caller lets the model call. */
export interface Tool {
  readonly name: string;
  /** The JSON Schema of its arguments. */
  readonly parameters: unknown;
}

/** `auto`: the model decides; `required`: it calls one of them; a name: it calls that one. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

export interface ToolCall {
  readonly name: string;
  /** JSON of an object. */
  readonly arguments: string;
}

/**
 * What the simulated model calls, the same for the same conversation: a tool that it must call, or one of which the user
 * has just said all words of the name: `get_weather` for "What is the weather in Bergen?". undefined: it answers in text.
 */
export function chosenToolCall(
  messages: readonly ChatMessage[],
  tools: readonly Tool[],
  choice: ToolChoice,
): ToolCall | undefined {
  const last = messages.at(-1);
  if (choice === 'none' || last === undefined) return undefined;
  const text = last.texts.join('\n');
  const said = new Set(contentWords(text));
  const fitting = tools.find(({ name }) => {
    const words = contentWords(name.replaceAll(/[_-]/g, ' ').replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' '));
    return words.length > 0 && words.every((word) => said.has(word));
  });
  const tool =
    typeof choice === 'object'
      ? tools.find(({ name }) => name === choice.name)
      : // A tool's result is told in words, unless a call is demanded.
        ((fitting !== undefined && last.role === 'user' ? fitting : undefined) ??
        (choice === 'required' ? tools[0] : undefined));
  if (tool === undefined) return undefined;
  return { name: tool.name, arguments: JSON.stringify(argumentsFor(tool.parameters, text)) };
}

const PROPERTY = z.looseObject({ type: z.string().optional(), enum: z.array(z.unknown()).optional() });
const PARAMETERS = z.looseObject({
  properties: z.record(z.string(), PROPERTY).default({}),
  required: z.array(z.string()).optional(),
});

/** A value for each property that is required, or for each where none is said to be. */
function argumentsFor(parameters: unknown, text: string): Readonly<Record<string, unknown>> {
  const { properties, required } = PARAMETERS.safeParse(parameters).data ?? { properties: {} };
  const names = (required ?? Object.keys(properties)).slice(0, PROPERTIES_MAX);
  return Object.fromEntries(names.map((name) => [name, valueFor(properties[name] ?? {}, text)]));
}

/** Names of things are what a message writes in capitals, not at the beginning of a sentence. */
const NAME = /(?<=[\p{L}\p{N},;:]\s+)\p{Lu}[\p{L}\p{M}-]+/u;

function valueFor(property: z.output<typeof PROPERTY>, text: string): unknown {
  if (property.enum !== undefined) return property.enum[0];
  switch (property.type) {
    case 'number':
      return Number(/\d+(?:\.\d+)?/.exec(text)?.[0] ?? 0);
    case 'integer':
      return Number(/\d{1,15}/.exec(text)?.[0] ?? 0);
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return {};
    default:
      return NAME.exec(text)?.[0] ?? text.trim().slice(0, TEXT_CHARACTERS_MAX);
  }
}

const PROPERTIES_MAX = 100;
const TEXT_CHARACTERS_MAX = 100;
