import { CancellationScope } from '@temporalio/workflow';

/**
 * Maps with at most so many calls under way; the results are in the order of the items. When a call fails no other is
 * begun, those under way are cancelled, because what they would still spend is of no use, and it waits until they have
 * ended, so that all they spent is known; then the first failure is thrown.
 */
export async function boundedMap<Item, Result>(
  items: readonly Item[],
  underWayMax: number,
  map: (item: Item, index: number) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const queue = [...items.entries()];
  const failures: unknown[] = [];
  const scope = new CancellationScope({ cancellable: true });
  await scope.run(async () => {
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && failures.length === 0; next = queue.shift()) {
        const [index, item] = next;
        try {
          results[index] = await map(item, index);
        } catch (error) {
          failures.push(error);
          scope.cancel();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(underWayMax, items.length) }, work));
  });
  if (failures.length > 0) throw failures[0];
  return results;
}
