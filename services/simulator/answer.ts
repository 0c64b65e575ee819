export interface Answer {
  /** Absent for embeddings. */
  readonly responseId: string | undefined;
  readonly promptTokens: number;
  /** Part of `promptTokens`. */
  readonly cachedTokens: number;
  /** Part of `promptTokens`: newly written into a cache, where the provider bills that; absent: none. */
  readonly cacheWriteTokens?: number;
  readonly completionTokens: number;
  readonly content: AnswerContent;
}

export type AnswerContent =
  | { readonly kind: 'json'; readonly body: object }
  | {
      readonly kind: 'stream';
      readonly events: readonly StreamEvent[];
      /** Whether `[DONE]` follows; otherwise the last event says that it is the last. */
      readonly doneMark: boolean;
    };

export interface StreamEvent {
  /** The event's name; absent: it has none. */
  readonly name?: string;
  readonly data: object;
  /** How many tokens of the completion it carries. */
  readonly tokens: number;
}
