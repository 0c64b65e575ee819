import Table from 'cli-table3';
import { visibleText } from './visible-text.js';

export interface Column {
  readonly head: string;
  /** Absent: left. */
  readonly align?: 'left' | 'right';
  /** Left out when none of its cells says anything. */
  readonly optional?: boolean;
}

/** A cell may have several lines. */
export type Row = readonly string[];

/** A table without frame and colours: a line under the head, and one over the row of totals if there is one. */
export function tableText(columns: readonly Column[], rows: readonly Row[], totals?: Row): string {
  const allRows = totals === undefined ? rows : [...rows, totals];
  const shown = columns.map(
    ({ optional }, index) => optional !== true || allRows.some((row) => row[index] !== ''),
  );
  const pick = <T>(items: readonly T[]): T[] => items.filter((_, index) => shown[index]);
  const table = new Table({
    head: pick(columns).map(({ head }) => head),
    colAligns: pick(columns).map(({ align }) => align ?? 'left'),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': GAP },
    chars: FRAMELESS,
  });
  table.push(...allRows.map((row) => pick(row).map(visibleText)));
  // The library lets lines end in padding; the rule is as long as the longest text.
  const [head = '', , ...body] = table.toString().split('\n');
  const lines = [head, ...body].map((line) => line.trimEnd());
  const rule = '─'.repeat(Math.max(...lines.map((line) => [...line].length)));
  lines.splice(1, 0, rule);
  if (totals !== undefined) lines.splice(lines.length - heightOf(totals), 0, rule);
  return lines.join('\n');
}

function heightOf(row: Row): number {
  return Math.max(...row.map((cell) => cell.split('\n').length));
}

const GAP = 2;
const FRAMELESS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '─',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
} as const;
