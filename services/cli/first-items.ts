import type { Output } from './output.js';

/** The first items of a list; when there are more, that is said, so that nobody takes a part for the whole. */
export async function firstItems<Item>(
  items: AsyncIterable<Item>,
  limit: number,
  output: Output,
): Promise<readonly Item[]> {
  const first: Item[] = [];
  for await (const item of items) {
    if (first.length === limit) {
      output.notice(`These are the first ${limit}; there are more: --limit <n> shows them.`);
      break;
    }
    first.push(item);
  }
  return first;
}

export const LIMIT_DEFAULT = 50;
/** What a person looks at, and one document holds; programs that want more use the client. */
export const LIMIT_MAX = 10_000;
