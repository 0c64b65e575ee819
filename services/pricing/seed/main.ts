/**
 * Brings catalogue.json and its report to what the installed price data says.
 *
 *   --check           write nothing; exit 1 when the files are not what the data gives
 *   --accept-changes  write although models or rates are gone or prices moved far
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cataloguePath, formatCatalogue, parseCatalogue } from '../catalogue.js';
import { bundledData } from './bundled-data.js';
import { seedCatalogue } from './seed-catalogue.js';
import { seedReport } from './seed-report.js';

/** Lines printed of one title; a first seeding has thousands. */
const LINES_MAX = 200;

const { values: options } = parseArgs({
  options: { check: { type: 'boolean' }, 'accept-changes': { type: 'boolean' } },
});
const path = cataloguePath();
const reportPath = join(dirname(path), 'catalogue-report.txt');
const before = read(path);
const { providers, source } = await bundledData();
const now = new Date(Math.floor(Date.now() / 1000) * 1000);
const existing = before === '' ? [] : parseCatalogue(before);
const result = seedCatalogue({ providers, source, existing, now });
const catalogue = formatCatalogue(result.prices);
const report = seedReport(result, source);

console.log(report);
print('appended prices change', result.changes);
print('changes that someone must look at', result.doubts);
print('problems', result.problems);
process.exitCode = options.check === true ? check() : write();

function check(): number {
  if (result.problems.length === 0 && catalogue === before && report === read(reportPath)) return 0;
  console.error('catalogue.json or catalogue-report.txt is not what the data gives: npm run prices:seed');
  return 1;
}

function write(): number {
  if (result.problems.length > 0) {
    console.error('nothing written: the problems above need a change of the code');
    return 1;
  }
  if (result.doubts.length > 0 && options['accept-changes'] !== true) {
    console.error('nothing written: look at the changes above, then run with --accept-changes');
    return 1;
  }
  writeFileSync(path, catalogue);
  writeFileSync(reportPath, report);
  console.log(`${result.appended.length} prices appended`);
  return 0;
}

/** Empty: there is no such file yet. */
function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function print(title: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  const rest = lines.length > LINES_MAX ? [`and ${lines.length - LINES_MAX} more`] : [];
  console.log([`${title}:`, ...lines.slice(0, LINES_MAX), ...rest].join('\n  '));
}
