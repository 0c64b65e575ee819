export interface Answer {
  /** Absent for embeddings. */
  readonly responseId: string | undefined;
  readonly promptTokens: number;
  /** Part of `promptTokens`. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly content: AnswerContent;
}

export type AnswerContent =
  | { readonly kind: 'json'; readonly body: object }
  | { readonly kind: 'stream'; readonly events: readonly StreamEvent[] };

export interface StreamEvent {
  readonly data: object;
  /** How many tokens of the completion it carries. */
  readonly tokens: number;
}
