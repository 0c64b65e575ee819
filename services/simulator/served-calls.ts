/**
 * The simulator's own count of what it served: the witness against which a bill is checked. A call is billed when the
 * model did its work, whether or not the answer arrived.
 */
export interface ServedCalls {
  /** Notes an arriving call. Its fields are filled in while it is worked on. */
  open(start: CallStart): OpenCall;
  /**
   * Writes a call down. Done before the last byte of an answer is sent, so that a client that has its answer finds the
   * call here. The first outcome stands: a hung call whose client leaves at last stays hung.
   */
  close(call: OpenCall, outcome: CallOutcome, status?: number): void;
  /** Closed calls with a greater sequence number, oldest first, and the sums over all. */
  report(page: { readonly after: number; readonly limit: number }): ServedReport;
  /** Forgets all closed calls; those still open are counted when they close. */
  reset(): void;
}

/**
 * - `answered`: the answer went out whole (broken JSON and absent usage included);
 * - `dropped`: the connection ended early, by either side;
 * - `truncated`: a stream that ended without its end;
 * - `refused`: another status than 200, and no work done;
 * - `hung`: worked on and never answered.
 */
export type CallOutcome = 'answered' | 'dropped' | 'truncated' | 'refused' | 'hung';

export interface CallStart {
  readonly requestId: string;
  readonly endpoint: string;
  readonly startedAt: number;
  /** The request's header `x-simulator-tag`. */
  readonly tag: string | undefined;
}

export interface OpenCall extends CallStart {
  /** Absent until the body is read and found valid. */
  requestedModel?: string;
  /** The model that answers. */
  model?: string;
  /** Absent for embeddings, whose answers have no id. */
  responseId?: string | undefined;
  stream: boolean;
  billed: boolean;
  promptTokens: number;
  /** Part of `promptTokens`. */
  cachedTokens: number;
  /** Part of `promptTokens`: newly written into a cache, where the provider bills that. */
  cacheWriteTokens: number;
  /** What was produced; of a broken stream what had been sent. */
  completionTokens: number;
  faults: readonly string[];
}

export interface ServedCall extends Readonly<OpenCall> {
  /** 1, 2, 3 … in the order of being written down. */
  readonly sequence: number;
  /** Absent when no status line was sent. */
  readonly status: number | undefined;
  readonly finishedAt: number;
  readonly outcome: CallOutcome;
}

export interface ServedSums {
  calls: number;
  billedCalls: number;
  promptTokens: number;
  cachedTokens: number;
  cacheWriteTokens: number;
  completionTokens: number;
  readonly outcomes: Record<CallOutcome, number>;
}

export interface ServedReport {
  readonly inFlight: number;
  readonly sums: Readonly<ServedSums>;
  /** By the name of the model that answered; calls refused before their model was known are not in it. */
  readonly models: Readonly<Record<string, Readonly<ServedSums>>>;
  readonly calls: readonly ServedCall[];
}

/** Older calls are only in the sums. */
export const SERVED_CALLS_MAX = 100_000;

/** Further model names are summed under {@link OTHER_MODELS}. */
const MODELS_COUNTED_MAX = 1_000;
const OTHER_MODELS = '(others)';

export function createServedCalls(now: () => number, callsMax: number): ServedCalls {
  const open = new Set<OpenCall>();
  /** A ring: the call with sequence number s is at (s - 1) modulo `callsMax`. */
  let ring: ServedCall[] = [];
  let lastSequence = 0;
  let sums = noSums();
  let models = new Map<string, ServedSums>();

  function sumsOf(model: string): ServedSums {
    const name = models.has(model) || models.size < MODELS_COUNTED_MAX ? model : OTHER_MODELS;
    const known = models.get(name) ?? noSums();
    models.set(name, known);
    return known;
  }

  return {
    open(start) {
      const call: OpenCall = {
        ...start,
        stream: false,
        billed: false,
        promptTokens: 0,
        cachedTokens: 0,
        cacheWriteTokens: 0,
        completionTokens: 0,
        faults: [],
      };
      open.add(call);
      return call;
    },

    close(call, outcome, status) {
      if (!open.delete(call)) return;
      lastSequence += 1;
      const served = { sequence: lastSequence, ...call, status, finishedAt: now(), outcome };
      ring[(lastSequence - 1) % callsMax] = served;
      count(sums, served);
      if (call.model !== undefined) count(sumsOf(call.model), served);
    },

    report({ after, limit }) {
      const calls: ServedCall[] = [];
      const oldest = Math.max(lastSequence - callsMax, after) + 1;
      for (let sequence = oldest; sequence <= lastSequence && calls.length < limit; sequence += 1) {
        const call = ring[(sequence - 1) % callsMax];
        if (call !== undefined) calls.push(call);
      }
      return { inFlight: open.size, sums, models: Object.fromEntries(models), calls };
    },

    reset() {
      ring = [];
      lastSequence = 0;
      sums = noSums();
      models = new Map();
    },
  };
}

/** Times become RFC 3339; what is absent has no member. */
export function toWireServedReport({ calls, ...report }: ServedReport): object {
  return {
    ...report,
    calls: calls.map((call) => ({
      ...call,
      startedAt: new Date(call.startedAt).toISOString(),
      finishedAt: new Date(call.finishedAt).toISOString(),
    })),
  };
}

function noSums(): ServedSums {
  return {
    calls: 0,
    billedCalls: 0,
    promptTokens: 0,
    cachedTokens: 0,
    cacheWriteTokens: 0,
    completionTokens: 0,
    outcomes: { answered: 0, dropped: 0, truncated: 0, refused: 0, hung: 0 },
  };
}

function count(sums: ServedSums, call: ServedCall): void {
  sums.calls += 1;
  sums.outcomes[call.outcome] += 1;
  if (!call.billed) return;
  sums.billedCalls += 1;
  sums.promptTokens += call.promptTokens;
  sums.cachedTokens += call.cachedTokens;
  sums.cacheWriteTokens += call.cacheWriteTokens;
  sums.completionTokens += call.completionTokens;
}
