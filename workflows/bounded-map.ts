/** Maps with at most so many calls under way; the results are in the order of the items. The first failure ends it. */
export async function boundedMap<Item, Result>(
  items: readonly Item[],
  underWayMax: number,
  map: (item: Item, index: number) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const queue = [...items.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, item] = next;
      results[index] = await map(item, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(underWayMax, items.length) }, work));
  return results;
}
