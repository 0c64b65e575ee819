import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Units } from '../../services/domain/units.js';
import type { ProviderWire } from '../../services/providers/provider-contract.js';
import { wireOf } from '../../services/providers/provider-wire.js';

/** Bodies and streams in the shapes that the providers document, each with what is to be read from it. */

const UNITS = z.record(z.string(), z.strictObject({ input: z.number(), output: z.number() }));
const REQUEST = { provider: z.enum(['openai', 'anthropic']), path: z.string(), request: z.unknown() };
const FACTS = {
  unitsBasis: z.enum(['reported', 'estimated', 'unknown']),
  units: UNITS.optional(),
  model: z.string().optional(),
  responseId: z.string().optional(),
  failed: z.literal(true).optional(),
};
const ANSWER_FIXTURE = z.strictObject({
  ...REQUEST,
  answer: z.unknown(),
  expected: z.strictObject({ ...FACTS, hasImages: z.boolean().default(false) }),
});
const STREAM_FIXTURE = z.strictObject({
  ...REQUEST,
  expected: z.strictObject({
    ...FACTS,
    complete: z.boolean(),
    /** How many the stream has. */
    events: z.number(),
    /** Which of them carries the result; null: none can. */
    resultOn: z.number().nullable(),
    dropped: z.array(z.number()),
    /** In which order they are sent on, if not in their own. */
    order: z.array(z.number()).optional(),
  }),
});

export type AnswerFixture = z.infer<typeof ANSWER_FIXTURE> & { readonly name: string };
export type StreamFixture = z.infer<typeof STREAM_FIXTURE> & {
  readonly name: string;
  readonly bytes: Buffer;
};

export function answerFixtures(): readonly AnswerFixture[] {
  return namesIn('answers').map((name) => ({ name, ...ANSWER_FIXTURE.parse(json(`answers/${name}.json`)) }));
}

export function streamFixtures(): readonly StreamFixture[] {
  return namesIn('streams').map((name) => ({
    name,
    bytes: readFileSync(new URL(`streams/${name}.sse`, FOLDER)),
    ...STREAM_FIXTURE.parse(json(`streams/${name}.json`)),
  }));
}

export function wireFor(fixture: Pick<AnswerFixture, 'provider' | 'path'>): ProviderWire {
  const wire = wireOf(fixture.provider, fixture.path);
  if (wire === undefined) throw new Error(`no wire for ${fixture.provider} ${fixture.path}`);
  return wire;
}

export function plainUnits(units: Units | undefined): z.infer<typeof UNITS> | undefined {
  if (units === undefined) return undefined;
  return Object.fromEntries(
    [...units].map(([kind, { input, output }]) => [kind, { input: Number(input), output: Number(output) }]),
  );
}

function namesIn(folder: string): readonly string[] {
  const names = readdirSync(new URL(folder, FOLDER)).flatMap((file) => /^(.*)\.json$/.exec(file)?.[1] ?? []);
  return names.sort();
}

function json(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, FOLDER), 'utf8'));
}

const FOLDER = new URL('../fixtures/providers/', import.meta.url);
