/** One message of a conversation, in whichever of the providers' forms it came. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'function';
  readonly name: string | undefined;
  /** The texts of the content, in order. */
  readonly texts: readonly string[];
  /** The URLs, or data URLs, of the images. */
  readonly images: readonly string[];
  /** An assistant's calls as JSON text. */
  readonly toolCalls: string | undefined;
}
