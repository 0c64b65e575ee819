import { canonicalUnits, type UnitCount, type UnitKind, type Units } from '../domain/units.js';
import { answerFacts } from './answer-facts.js';
import { NOTHING_USED, promptUnitsOf, withOutput } from './estimated-units.js';
import { countOf, isRecord, listOf, parseJsonRecord, recordOf, textOf } from './json-value.js';
import { promptTexts } from './prompt-texts.js';
import type {
  ProviderAnswer,
  ProviderRequest,
  ProviderStream,
  ProviderWire,
  StreamEvent,
  StreamStep,
} from './provider-contract.js';
import { modelOf, once, requestBody, requireMember, streamOf, unchanged } from './request-members.js';
import { ResultHold } from './result-hold.js';
import { tokenEncodingOf } from './token-count.js';
import { IMAGE, TEXT, VISION } from './unit-kinds.js';

/** Images, generated or edited, where the request is JSON. Source: OpenAI API reference, "Create image". */
export const openAiImages: ProviderWire = {
  name: 'openai.images',
  readRequest,
  readAnswer,
  openStream: (request) => new OpenAiImagesStream(request),
};

function readRequest(body: unknown): ProviderRequest {
  const members = requestBody(body);
  requireMember(members, 'prompt');
  const model = modelOf(members, DEFAULT_MODEL);
  const images = Array.isArray(members.images) ? members.images : listOf(members.image);
  const prompt = { ...promptTexts(members.prompt), imageTokens: images.map(() => EDITED_IMAGE_TOKENS) };
  return {
    model,
    stream: streamOf(members),
    wantsUsage: true,
    ...unchanged(body),
    hasImages: images.length > 0,
    promptUnits: once(() => promptUnitsOf(prompt, 0n, tokenEncodingOf(model))),
  };
}

function readAnswer(body: unknown, request: ProviderRequest): ProviderAnswer {
  if (!isRecord(body) || !Array.isArray(body.data)) return { unitsBasis: 'unknown' };
  const known = answerFacts(body);
  const reported = unitsOfImagesUsage(body.usage);
  if (reported !== undefined) return { ...known, units: reported, unitsBasis: 'reported' };
  return { ...known, units: countedImages(body.data.length, request), unitsBasis: 'estimated' };
}

/**
 * Tokens of text and of images, in and out. An output that is not broken down is `text`, as the price lists have it: the
 * models that do not break it down list one output price.
 */
function unitsOfImagesUsage(usage: unknown): Units | undefined {
  if (!isRecord(usage)) return undefined;
  const input = countOf(usage.input_tokens);
  if (input === undefined) return undefined;
  const output = countOf(usage.output_tokens);
  // Beside an image: servers that do not count leave it out, or say zero.
  if (output === undefined || output === 0n) return undefined;
  const imagesIn = countOf(recordOf(usage.input_tokens_details).image_tokens) ?? 0n;
  const imagesOut = countOf(recordOf(usage.output_tokens_details).image_tokens) ?? 0n;
  const partsFit = imagesIn <= input && imagesOut <= output;
  return canonicalUnits(
    new Map<UnitKind, UnitCount>(
      partsFit
        ? [
            [TEXT, { input: input - imagesIn, output: output - imagesOut }],
            [VISION, { input: imagesIn, output: imagesOut }],
          ]
        : [[TEXT, { input, output }]],
    ),
  );
}

/** The older models are paid by the image and say nothing of usage: so images are counted, and the prompt is free. */
function countedImages(images: number, request: ProviderRequest): Units {
  const prompt = PAID_BY_IMAGE.test(request.model) ? NOTHING_USED : request.promptUnits();
  return withOutput(prompt, IMAGE, BigInt(images));
}

/** The result rides on the last image that is whole. */
class OpenAiImagesStream implements ProviderStream {
  readonly #request: ProviderRequest;
  readonly #hold = new ResultHold();
  #units: Units | undefined;
  #imagesWithoutUsage = 0;
  #hasPartial = false;
  #isComplete = false;
  #hasFailed = false;

  constructor(request: ProviderRequest) {
    this.#request = request;
  }

  push(event: StreamEvent): StreamStep {
    if (event.data.trim() === '[DONE]') return this.#hold.settle(event);
    const members = parseJsonRecord(event.data);
    if (members === undefined) return this.#hold.pass(event);
    const type = textOf(members.type) ?? event.event ?? '';
    if (type === 'error' || isRecord(members.error)) {
      this.#hasFailed = true;
      return this.#hold.isHolding ? this.#hold.settle(event) : this.#hold.carry(event);
    }
    if (!COMPLETED.has(type)) {
      this.#hasPartial = true;
      return this.#hold.pass(event);
    }
    this.#isComplete = true;
    const units = unitsOfImagesUsage(members.usage);
    if (units === undefined) this.#imagesWithoutUsage += 1;
    else this.#units = this.#units === undefined ? units : added(this.#units, units);
    return this.#hold.hold(event);
  }

  end(): StreamStep {
    return this.#hold.settle();
  }

  answer(): ProviderAnswer & { readonly complete: boolean } {
    const known = {
      ...(this.#hasFailed ? { failed: true as const } : {}),
      complete: this.#isComplete && !this.#hasFailed,
    };
    if (this.#units !== undefined && this.#imagesWithoutUsage === 0) {
      return { ...known, units: this.#units, unitsBasis: 'reported' };
    }
    const images = Math.max(this.#imagesWithoutUsage, this.#hasPartial ? 1 : 0);
    if (this.#hasFailed && images === 0) return { ...known, units: NOTHING_USED, unitsBasis: 'estimated' };
    const counted = countedImages(images, this.#request);
    const units = this.#units === undefined ? counted : added(this.#units, counted);
    return { ...known, units, unitsBasis: 'estimated' };
  }
}

function added(a: Units, b: Units): Units {
  const sum = new Map(a);
  for (const [kind, { input, output }] of b) {
    const before = sum.get(kind) ?? { input: 0n, output: 0n };
    sum.set(kind, { input: before.input + input, output: before.output + output });
  }
  return canonicalUnits(sum);
}

const COMPLETED: ReadonlySet<string> = new Set(['image_generation.completed', 'image_edit.completed']);
const DEFAULT_MODEL = 'dall-e-2';
const PAID_BY_IMAGE = /^dall-e-/;
/** An image of 1024 × 1024 at low input fidelity: 65 tokens and 129 for each of its tiles. */
const EDITED_IMAGE_TOKENS = 323n;
