/**
 * Providers that resell other providers' models at their price: a model that is not among their own is looked up
 * there, in this order. The seeding script stops when its data says otherwise.
 */
export const FALLBACK_PROVIDERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['azure', ['openai', 'anthropic', 'deepseek', 'x-ai', 'moonshotai']],
  ['google', ['anthropic']],
]);
