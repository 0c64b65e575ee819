/** One page of a list, for those who hand pages on. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Empty: this is the last. */
  readonly nextPageToken: string;
}

/** Which page of a list is wanted. */
export interface PageRequest {
  /** At most 1,000; the answer may hold fewer, and then has a token. */
  readonly pageSize: number;
  /** `nextPageToken` of the page before; empty or absent: the first. */
  readonly pageToken?: string;
}

/** Walks through all pages of a list, one page ahead of the caller at most. */
export async function* pages<Item>(
  read: (pageToken: string) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  let pageToken = '';
  do {
    const page = await read(pageToken);
    yield* page.items;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

export const PAGE_SIZE = 200;
