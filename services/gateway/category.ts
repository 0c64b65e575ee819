import type { Price } from '../client/index.js';

/**
 * A category is a provider. `system.x` is the built-in x, whose prices are the catalogue's; any other stands as it is, and
 * its prices are the application's own.
 */

export function isSystemCategory(category: string): boolean {
  return SYSTEM.test(category);
}

/** As events and prices name it; the service knows other spellings of it. */
export function providerOfCategory(category: string): string {
  return category.replace(SYSTEM, '');
}

export function sourceOfCategory(category: string): Price['source'] {
  return isSystemCategory(category) ? 'CATALOGUE' : 'APPLICATION';
}

export function categoryOf({ provider, source }: Pick<Price, 'provider' | 'source'>): string {
  if (source === 'APPLICATION') return provider;
  return `system.${SYSTEM_NAMES.get(provider) ?? provider}`;
}

const SYSTEM = /^system\./i;
/** As that API names some of the built-in ones. */
const SYSTEM_NAMES: ReadonlyMap<string, string> = new Map([
  ['aws', 'aws.bedrock'],
  ['azure', 'azureopenai'],
  ['google', 'google.vertex'],
]);
