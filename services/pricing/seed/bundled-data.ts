import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { waitForUpdate } from '@pydantic/genai-prices';
import { z } from 'zod';

const PACKAGE = '@pydantic/genai-prices';
const manifest = z.object({ version: z.string() });

export interface BundledData {
  readonly providers: unknown;
  /** Which data it is; goes into every price made from it. */
  readonly source: string;
}

/**
 * The data that the package brings along. `waitForUpdate` answers what is in force; it fetches nothing as long as
 * `updatePrices` has not been called, which nothing here ever does.
 */
export async function bundledData(): Promise<BundledData> {
  const providers: unknown = await waitForUpdate();
  const entry = createRequire(import.meta.url).resolve(PACKAGE);
  const content: unknown = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8'));
  return { providers, source: `${PACKAGE} ${manifest.parse(content).version}` };
}
