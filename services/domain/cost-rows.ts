import { type CostDimension, type CostQuery, type KeptSum, startOfBucket } from './cost-query.js';
import { CostAdder, type CostSum } from './cost-sum.js';

/** What one combination has cost; what a query does not group by is undefined. */
export interface CostRow {
  readonly type: string | undefined;
  readonly version: number | undefined;
  readonly provider: string | undefined;
  readonly model: string | undefined;
  readonly bucketStart: Date | undefined;
  readonly sum: CostSum;
}

export interface CostRows {
  /** In the order of time, type, version, provider, model; those without an event are left out. */
  readonly rows: readonly CostRow[];
  readonly total: CostSum;
}

/**
 * Adds kept sums up as a query wants them. One key may be kept in several parts, of which one may be negative: only their
 * sum says something.
 */
export function costRows(kept: readonly KeptSum[], { groupBy, bucket }: CostQuery): CostRows {
  const groups = new Map<string, { readonly row: Omit<CostRow, 'sum'>; readonly adder: CostAdder }>();
  const by = <T>(dimension: CostDimension, value: T) => (groupBy.has(dimension) ? value : undefined);
  for (const { type, version, provider, model, start, sum } of kept) {
    const row = {
      type: by('EXPERIENCE_TYPE', type),
      version: by('EXPERIENCE_VERSION', version),
      provider: by('PROVIDER', provider),
      model: by('MODEL', model),
      bucketStart: bucket === undefined ? undefined : startOfBucket(start, bucket),
    };
    const key = textOf(row);
    const group = groups.get(key) ?? { row, adder: new CostAdder() };
    groups.set(key, group);
    group.adder.add(sum);
  }
  const rows = [...groups.values()].map(({ row, adder }) => ({ ...row, sum: adder.sum() }));
  const total = new CostAdder();
  for (const { sum } of rows) total.add(sum);
  return { rows: rows.filter(({ sum }) => sum.eventCount !== 0n).sort(inOrder), total: total.sum() };
}

/** The parts are separated by what none of them can hold: the texts have no control characters. */
function textOf({ bucketStart, type, version, provider, model }: Omit<CostRow, 'sum'>): string {
  return `${bucketStart?.getTime()}\n${type}\n${version}\n${provider}\n${model}`;
}

function inOrder(a: CostRow, b: CostRow): number {
  return (
    (a.bucketStart?.getTime() ?? 0) - (b.bucketStart?.getTime() ?? 0) ||
    byText(a.type, b.type) ||
    (a.version ?? 0) - (b.version ?? 0) ||
    byText(a.provider, b.provider) ||
    byText(a.model, b.model)
  );
}

function byText(a = '', b = ''): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
