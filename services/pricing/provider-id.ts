const SYSTEM_PREFIX = 'system.';

/**
 * Other names under which a provider is known, in lower case. Written by hand: libraries guess by parts of the name,
 * and so take `azure.ai.openai` for OpenAI.
 */
const PROVIDER_OF_NAME: ReadonlyMap<string, string> = new Map([
  // OpenTelemetry: gen_ai.provider.name, and gen_ai.system before it.
  ['aws.bedrock', 'aws'],
  ['azure.ai.inference', 'azure'],
  ['azure.ai.openai', 'azure'],
  ['az.ai.inference', 'azure'],
  ['az.ai.openai', 'azure'],
  ['gcp.gemini', 'google'],
  ['gcp.gen_ai', 'google'],
  ['gcp.vertex_ai', 'google'],
  ['gemini', 'google'],
  ['vertex_ai', 'google'],
  ['mistral_ai', 'mistral'],
  ['x_ai', 'x-ai'],
  ['xai', 'x-ai'],
  // Pay-i: categories, without their prefix `system.`.
  ['azureopenai', 'azure'],
  ['google.vertex', 'google'],
  // Other spellings in use.
  ['amazon', 'aws'],
  ['amazon.bedrock', 'aws'],
  ['amazon_bedrock', 'aws'],
  ['amazon-bedrock', 'aws'],
  ['aws_bedrock', 'aws'],
  ['aws-bedrock', 'aws'],
  ['bedrock', 'aws'],
  ['azure_ai', 'azure'],
  ['azure_openai', 'azure'],
  ['azure-openai', 'azure'],
  ['google_genai', 'google'],
  ['google_vertexai', 'google'],
  ['google-vertex', 'google'],
  ['vertex', 'google'],
  ['vertex-ai', 'google'],
  ['vertexai', 'google'],
  ['fireworks_ai', 'fireworks'],
  ['fireworks-ai', 'fireworks'],
  ['github_copilot', 'github-copilot'],
  ['mistralai', 'mistral'],
  ['moonshot', 'moonshotai'],
  ['moonshot_ai', 'moonshotai'],
  ['together_ai', 'together'],
  ['together-ai', 'together'],
  ['togetherai', 'together'],
  ['voyage', 'voyageai'],
  ['voyage_ai', 'voyageai'],
  ['z_ai', 'zai'],
  ['z-ai', 'zai'],
  ['z.ai', 'zai'],
]);

/**
 * Our id of a provider, whichever known name it is given by. `system.x` is the built-in x. A name that is not known
 * stands as it is, in lower case: an application may have prices under it.
 */
export function providerId(name: string): string {
  const lower = name.trim().toLowerCase();
  const bare = lower.startsWith(SYSTEM_PREFIX) ? lower.slice(SYSTEM_PREFIX.length) : lower;
  return PROVIDER_OF_NAME.get(bare) ?? bare;
}
