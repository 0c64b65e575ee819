/**
 * One page of the items read for it, as messages. It ends at `limit` items or before the answer gets larger than a client
 * takes; the first item is always on it. `last` is the item the next page comes after; undefined: nothing follows.
 */
export function pageOf<Item, Wire>(
  /** One more than `limit`, where there are more. */
  items: readonly Item[],
  limit: number,
  toWire: (item: Item) => Wire,
): { readonly page: Wire[]; readonly last: Item | undefined } {
  const page: Wire[] = [];
  let bytes = 0;
  for (const item of items.slice(0, limit)) {
    const wire = toWire(item);
    bytes += jsonBytes(wire);
    if (page.length > 0 && bytes > PAGE_BYTES_MAX) break;
    page.push(wire);
  }
  return { page, last: page.length < items.length ? items[page.length - 1] : undefined };
}

/** About the size of the encoded message, and rarely less: JSON spells out names and escapes. */
function jsonBytes(wire: unknown): number {
  return Buffer.byteLength(JSON.stringify(wire));
}

/** gRPC clients take 4 MiB by default; the rest is room for the estimate to be wrong. */
const PAGE_BYTES_MAX = 3 * 1024 * 1024;
