/** Room for models that a later list puts between two others, so that their ranks can stay. */
const RANK_STEP = 1_000;

/**
 * A rank for each of a provider's models, ascending in their order. Known ranks are kept where the order allows it,
 * because a changed rank means another appended price.
 */
export function assignRanks(
  models: readonly string[],
  known: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  let before = 0;
  for (const [index, model] of models.entries()) {
    const own = known.get(model);
    before =
      own !== undefined && own > before
        ? own
        : rankBetween(before, nextKnown(models, index + 1, known, before));
    ranks.set(model, before);
  }
  return ranks;
}

function rankBetween(before: number, next: number | undefined): number {
  if (next === undefined) return before + RANK_STEP;
  return Math.max(Math.floor((before + next) / 2), before + 1);
}

function nextKnown(
  models: readonly string[],
  from: number,
  known: ReadonlyMap<string, number>,
  before: number,
): number | undefined {
  for (let index = from; index < models.length; index += 1) {
    const rank = known.get(models[index] ?? '');
    if (rank !== undefined && rank > before) return rank;
  }
  return undefined;
}
