/** Walks through all pages of a list, one page ahead of the caller at most. */
export async function* pages<Item>(
  read: (pageToken: string) => Promise<{ readonly items: readonly Item[]; readonly nextPageToken: string }>,
): AsyncGenerator<Item, void, undefined> {
  let pageToken = '';
  do {
    const page = await read(pageToken);
    yield* page.items;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

export const PAGE_SIZE = 200;
