import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import { fromCatalogueLine, toCatalogueLine } from './catalogue-line.js';
import type { Price } from './price.js';

/** The prices that come with the service. */
export function loadCatalogue(): readonly Price[] {
  return parseCatalogue(readFileSync(cataloguePath(), 'utf8'));
}

/** Reads the text of a catalogue.json; throws for one that is broken. */
export function parseCatalogue(text: string): readonly Price[] {
  const content: unknown = JSON.parse(text);
  if (!Array.isArray(content)) throw new RangeError('a catalogue is a list');
  return content.map((line: unknown, index) => {
    try {
      return fromCatalogueLine(line);
    } catch (cause) {
      throw new Error(`price ${index + 1} of the catalogue is broken`, { cause });
    }
  });
}

/** One price a line, so that a change of prices reads as one. */
export function formatCatalogue(prices: readonly Price[]): string {
  return `[\n${prices.map((price) => JSON.stringify(toCatalogueLine(price))).join(',\n')}\n]\n`;
}

/** The compiler copies no JSON: sources and build both read the one file among the sources. */
export function cataloguePath(): string {
  return join(PACKAGE_ROOT, 'services', 'pricing', 'catalogue.json');
}
