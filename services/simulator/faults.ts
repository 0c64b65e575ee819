import { z } from 'zod';
import { ENDPOINT_NAMES } from './endpoint-names.js';

const FAULT_MS_MAX = 600_000;
const MILLISECONDS = z.number().int().min(0).max(FAULT_MS_MAX);

/** Where a connection is dropped. Only before the work is the call not billed. */
const DROP_POINTS = ['before-work', 'before-answer', 'after-headers', 'mid-body'] as const;

const RETRY_AFTER_MS = 1_000;

const LATENCY = z.strictObject({
  kind: z.literal('latency'),
  ms: MILLISECONDS,
  jitterMs: MILLISECONDS.default(0),
});
const TOKEN_DELAY = z.strictObject({ kind: z.literal('token-delay'), ms: MILLISECONDS });
const RATE_LIMIT = z.strictObject({
  kind: z.literal('rate-limit'),
  retryAfterMs: MILLISECONDS.default(RETRY_AFTER_MS),
});
const SERVER_ERROR = z.strictObject({
  kind: z.literal('server-error'),
  status: z.number().int().min(500).max(599).default(500),
});
const UNAUTHORIZED = z.strictObject({ kind: z.literal('unauthorized') });
const DROP = z.strictObject({ kind: z.literal('drop'), at: z.enum(DROP_POINTS).default('before-answer') });
const TRUNCATE_STREAM = z.strictObject({ kind: z.literal('truncate-stream') });
const BROKEN_JSON = z.strictObject({ kind: z.literal('broken-json') });
const NO_USAGE = z.strictObject({ kind: z.literal('no-usage') });
const HANG = z.strictObject({ kind: z.literal('hang') });

/** What a provider can do wrong:
 *
 * - `latency`: the answer's first byte waits `ms` and up to `jitterMs` more;
 * - `token-delay`: each piece of a streamed text waits `ms`;
 * - `rate-limit`: 429 with `retry-after`;
 * - `server-error`: a status of 500 to 599;
 * - `unauthorized`: 401;
 * - `drop`: the connection is closed at a point;
 * - `truncate-stream`: a stream ends well-formed but half-way, without finish reason and `[DONE]`;
 * - `broken-json`: status 200, and the JSON breaks off in the middle;
 * - `no-usage`: an answer without `usage`;
 * - `hang`: the work is done and nothing is ever sent.
 */
export const FAULT = z.discriminatedUnion('kind', [
  LATENCY,
  TOKEN_DELAY,
  RATE_LIMIT,
  SERVER_ERROR,
  UNAUTHORIZED,
  DROP,
  TRUNCATE_STREAM,
  BROKEN_JSON,
  NO_USAGE,
  HANG,
]);
export type Fault = z.output<typeof FAULT>;

const TIMES_MAX = 1_000_000;
const NAME_LENGTH_MAX = 200;

/** When a rule applies. Without `times` always, without `probability` surely, without a name to any. */
const CONDITIONS = {
  times: z.number().int().min(1).max(TIMES_MAX).optional(),
  probability: z.number().gt(0).max(1).optional(),
  endpoint: z.enum(ENDPOINT_NAMES).optional(),
  /** As requested or as answered. */
  model: z.string().max(NAME_LENGTH_MAX).optional(),
  /** The request's header `x-simulator-tag`. */
  tag: z.string().max(NAME_LENGTH_MAX).optional(),
};

export const FAULT_RULE = z.discriminatedUnion('kind', [
  LATENCY.extend(CONDITIONS),
  TOKEN_DELAY.extend(CONDITIONS),
  RATE_LIMIT.extend(CONDITIONS),
  SERVER_ERROR.extend(CONDITIONS),
  UNAUTHORIZED.extend(CONDITIONS),
  DROP.extend(CONDITIONS),
  TRUNCATE_STREAM.extend(CONDITIONS),
  BROKEN_JSON.extend(CONDITIONS),
  NO_USAGE.extend(CONDITIONS),
  HANG.extend(CONDITIONS),
]);
export type FaultRule = z.output<typeof FAULT_RULE>;
/** A rule as a caller writes it: what has a default may be left out. */
export type FaultRuleInput = z.input<typeof FAULT_RULE>;

export const FAULT_RULES_MAX = 100;

/**
 * Reads faults from one line: the JSON of a fault or of a list of them, or the short form, comma-separated: `latency=200`,
 * `latency=200+50`, `token-delay=10`, `rate-limit=250` (milliseconds), `server-error=503`, `drop=mid-body`, and the bare
 * names. Answers undefined for anything else.
 */
export function parseFaults(line: string): readonly Fault[] | undefined {
  const parsed = z.array(FAULT).max(FAULT_RULES_MAX).safeParse(readLine(line.trim()));
  return parsed.success ? parsed.data : undefined;
}

function readLine(line: string): unknown {
  if (!line.startsWith('{') && !line.startsWith('['))
    return line.split(',').map((part) => readShort(part.trim()));
  try {
    const json: unknown = JSON.parse(line);
    return Array.isArray(json) ? json : [json];
  } catch {
    return undefined;
  }
}

const SHORT_FORM = /^([a-z-]+)(?:=([a-z-]+|\d+)(?:\+(\d+))?)?$/;

/** A candidate for the schema, which decides whether it is a fault. */
function readShort(part: string): unknown {
  const [, kind, value, more] = SHORT_FORM.exec(part) ?? [];
  const number = value === undefined ? undefined : Number(value);
  switch (kind) {
    case 'latency':
      return { kind, ms: number, jitterMs: more === undefined ? undefined : Number(more) };
    case 'token-delay':
      return { kind, ms: number };
    case 'rate-limit':
      return { kind, retryAfterMs: number };
    case 'server-error':
      return { kind, status: number };
    case 'drop':
      return { kind, at: value };
    default:
      return value === undefined ? { kind } : undefined;
  }
}

/** The short form, for the count of served calls. */
export function spellFault(fault: Fault): string {
  switch (fault.kind) {
    case 'latency':
      return fault.jitterMs === 0 ? `latency=${fault.ms}` : `latency=${fault.ms}+${fault.jitterMs}`;
    case 'token-delay':
      return `token-delay=${fault.ms}`;
    case 'rate-limit':
      return `rate-limit=${fault.retryAfterMs}`;
    case 'server-error':
      return `server-error=${fault.status}`;
    case 'drop':
      return `drop=${fault.at}`;
    case 'unauthorized':
    case 'truncate-stream':
    case 'broken-json':
    case 'no-usage':
    case 'hang':
      return fault.kind;
    default:
      return fault satisfies never;
  }
}
