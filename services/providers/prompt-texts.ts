import { isRecord, type JsonRecord, textOf } from './json-value.js';

export interface PromptTexts {
  readonly texts: readonly string[];
  /** A flat number of tokens each; empty: the prompt has no images. */
  readonly imageTokens: readonly bigint[];
}

/**
 * The texts that a model reads in a part of a request or writes in a part of an answer, and the images. Whatever is no
 * text of the prompt is left out: ids, roles, names of kinds, links, the bytes of images, files and sound.
 */
export function promptTexts(...parts: readonly unknown[]): PromptTexts {
  const texts: string[] = [];
  const imageTokens: bigint[] = [];
  for (const part of parts) collect(part, 0);
  return { texts, imageTokens };

  function collect(value: unknown, depth: number): void {
    if (typeof value === 'string') texts.push(value);
    else if (depth >= DEPTH_MAX) return;
    else if (Array.isArray(value)) for (const each of value) collect(each, depth + 1);
    else if (isRecord(value)) collectRecord(value, depth);
  }

  function collectRecord(value: JsonRecord, depth: number): void {
    const type = textOf(value.type) ?? '';
    if (IMAGE_TYPES.has(type)) {
      imageTokens.push(isLowDetail(value) ? LOW_DETAIL_IMAGE_TOKENS : IMAGE_TOKENS);
      return;
    }
    // A document whose source is text is read as text; its bytes in base64 are not.
    if (BYTES_TYPES.has(type)) return;
    if (type === 'text') collect(value.data, depth + 1);
    for (const [name, child] of Object.entries(value)) {
      if (!NOT_READ.has(name)) collect(child, depth + 1);
    }
  }
}

/** The definitions of tools and of the answer's shape, of which the model reads names and structure too. */
export function definitionTexts(...parts: readonly unknown[]): readonly string[] {
  const texts: string[] = [];
  for (const part of parts) if (part !== undefined && part !== null) collect(part, 0);
  return texts.length === 0 ? [] : [texts.join('')];

  function collect(value: unknown, depth: number): void {
    if (depth >= DEPTH_MAX) return;
    if (Array.isArray(value)) {
      for (const each of value) collect(each, depth + 1);
    } else if (isRecord(value)) {
      texts.push('{');
      for (const [name, child] of Object.entries(value)) {
        texts.push(`"${name}":`);
        collect(child, depth + 1);
      }
      texts.push('}');
    } else texts.push(typeof value === 'string' ? `"${value}",` : `${String(value)},`);
  }
}

function isLowDetail(part: JsonRecord): boolean {
  const image = isRecord(part.image_url) ? part.image_url : part;
  return image.detail === 'low';
}

/** Deeper than any request of the protocols; what is deeper is not counted. */
const DEPTH_MAX = 32;
const IMAGE_TYPES: ReadonlySet<string> = new Set([
  'image_url',
  'input_image',
  'image',
  'computer_screenshot',
]);
const BYTES_TYPES: ReadonlySet<string> = new Set([
  'input_audio',
  'file',
  'input_file',
  'base64',
  'url',
  'redacted_thinking',
  'image_generation_call',
]);
const NOT_READ: ReadonlySet<string> = new Set([
  'type',
  'role',
  'id',
  'call_id',
  'tool_call_id',
  'tool_use_id',
  'file_id',
  'status',
  'annotations',
  'citations',
  'cache_control',
  'signature',
  'encrypted_content',
  'data',
  'media_type',
  'logprobs',
]);
/** An image of 1024 × 1024 at high detail, and any at low detail, by the published rule for gpt-4o. */
const IMAGE_TOKENS = 765n;
const LOW_DETAIL_IMAGE_TOKENS = 85n;
