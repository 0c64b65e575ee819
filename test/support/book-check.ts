import type { BookCheckMessage, BookDifference, BookSummary } from '../../services/client/index.js';

/** What a verify or a repair answers in all. */
export interface CheckResult {
  readonly differences: readonly BookDifference[];
  readonly summary: BookSummary;
}

export async function resultOf(messages: AsyncIterable<BookCheckMessage>): Promise<CheckResult> {
  const differences: BookDifference[] = [];
  for await (const message of messages) {
    if ('difference' in message) differences.push(message.difference);
    if ('summary' in message) return { differences, summary: message.summary };
  }
  throw new Error('there was no summary');
}
