export function groupsOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** Calls that the levels above so many summaries need; a group of one needs none. */
export function combineCount(summaryCount: number, fanIn: number): number {
  if (summaryCount <= 1) return 0;
  const groups = groupsOf(Array.from({ length: summaryCount }), fanIn);
  return groups.filter((group) => group.length > 1).length + combineCount(groups.length, fanIn);
}
