import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { FaultRules } from './fault-rules.js';
import { FAULT_RULE, FAULT_RULES_MAX } from './faults.js';
import { parseBody } from './parse-body.js';
import { parseJson, readBody } from './request-body.js';
import { sendJson } from './send-json.js';
import { SERVED_CALLS_MAX, type ServedCalls, toWireServedReport } from './served-calls.js';

export interface ControlWorld {
  readonly faults: FaultRules;
  readonly served: ServedCalls;
}

/** A handler of one path and method; `query` is what stands after the question mark. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  query: string,
) => Promise<void> | void;

const SEED = z.number().int().min(0).max(0xffff_ffff);
const ADDED_FAULTS = z.strictObject({
  rules: z.array(FAULT_RULE).max(FAULT_RULES_MAX),
  /** Starts the random sequence again, and removes the rules there were. */
  seed: SEED.optional(),
});

const SERVED_PAGE = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(SERVED_CALLS_MAX).default(SERVED_CALLS_MAX),
});

/**
 * How a test steers the simulator and asks what it served. It needs no key: it is not the provider's.
 *
 * - `POST /simulator/faults` `{rules: [rule, …], seed?}` adds rules, `DELETE` removes all, `GET` lists; each answers
 *   `{seed, rules: [{…rule, applied}]}`. A rule is a fault with conditions, see faults.ts.
 * - `GET /simulator/served?after=sequence&limit=n` answers `{inFlight, sums, models: {name: sums}, calls: [call, …]}`, see
 *   served-calls.ts; `DELETE` forgets.
 */
export function createControl({
  faults,
  served,
}: ControlWorld): Readonly<Record<string, Readonly<Record<string, Handler>>>> {
  function sendFaults(response: ServerResponse): void {
    const { seed, rules } = faults.list();
    sendJson(response, 200, { seed, rules: rules.map(({ rule, applied }) => ({ ...rule, applied })) });
  }

  return {
    '/simulator/faults': {
      GET: (_request, response) => sendFaults(response),
      POST: async (request, response) => {
        const { rules, seed } = parseBody(ADDED_FAULTS, parseJson(await readBody(request)));
        if (seed !== undefined) faults.clear(seed);
        faults.add(rules);
        sendFaults(response);
      },
      DELETE: (_request, response) => {
        faults.clear();
        sendFaults(response);
      },
    },
    '/simulator/served': {
      GET: (_request, response, query) => {
        const page = parseBody(SERVED_PAGE, Object.fromEntries(new URLSearchParams(query)));
        sendJson(response, 200, toWireServedReport(served.report(page)));
      },
      DELETE: (_request, response) => {
        served.reset();
        sendJson(response, 200, toWireServedReport(served.report({ after: 0, limit: 1 })));
      },
    },
  };
}
