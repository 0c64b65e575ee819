import { FAULT_RULES_MAX, type Fault, type FaultRule, spellFault } from './faults.js';
import { Refusal } from './refusal.js';
import { createSeededRandom } from './seeded-random.js';

/** Decides for each call which faults it meets. */
export interface FaultRules {
  add(rules: readonly FaultRule[]): void;
  /** Removes all rules and starts the random sequence again, with another seed where one is given. */
  clear(seed?: number): void;
  list(): { readonly seed: number; readonly rules: readonly RuleState[] };
  /** Takes from the rules what this call meets; `own` are the faults that the call itself asked for, which come first. */
  plan(call: CallTraits, own: readonly Fault[]): FaultPlan;
}

export interface RuleState {
  readonly rule: FaultRule;
  /** How many calls met it. */
  readonly applied: number;
}

export interface CallTraits {
  readonly endpoint: string;
  readonly models: readonly string[];
  readonly tag: string | undefined;
  readonly stream: boolean;
}

export interface FaultPlan {
  readonly latencyMs: number;
  readonly tokenDelayMs: number;
  readonly usageOmitted: boolean;
  /** How the call ends other than by a whole answer. */
  readonly ending: Ending | undefined;
  /** The short forms of all that apply. */
  readonly names: readonly string[];
}

/** Of these a call meets one: the first. The others delay or leave out, and add up. */
export type Ending = Exclude<Fault, { kind: 'latency' | 'token-delay' | 'no-usage' }>;

/** What every answer waits, as configured; it is not a fault. */
export interface BaseDelays {
  readonly latencyMs: number;
  readonly latencyJitterMs: number;
  readonly tokenDelayMs: number;
}

export function createFaultRules(base: BaseDelays, firstSeed: number): FaultRules {
  let seed = firstSeed;
  let random = createSeededRandom(seed);
  let states: { readonly rule: FaultRule; applied: number }[] = [];

  function meets({ rule, applied }: RuleState, call: CallTraits): boolean {
    if (rule.times !== undefined && applied >= rule.times) return false;
    if (rule.endpoint !== undefined && rule.endpoint !== call.endpoint) return false;
    if (rule.model !== undefined && !call.models.includes(rule.model)) return false;
    if (rule.tag !== undefined && rule.tag !== call.tag) return false;
    return rule.probability === undefined || random() < rule.probability;
  }

  return {
    add(rules) {
      if (states.length + rules.length > FAULT_RULES_MAX) {
        throw new Refusal(400, `There can be at most ${FAULT_RULES_MAX} fault rules.`, { param: 'rules' });
      }
      states.push(...rules.map((rule) => ({ rule, applied: 0 })));
    },

    clear(nextSeed = seed) {
      seed = nextSeed;
      random = createSeededRandom(seed);
      states = [];
    },

    list: () => ({ seed, rules: states }),

    plan(call, own) {
      const faults = own.filter((fault) => fits(fault, call));
      let ending = faults.find(isEnding);
      for (const state of states) {
        if (!fits(state.rule, call)) continue;
        // A rule that cannot take effect is not used up: after two refusals the third call meets the next rule.
        if (isEnding(state.rule) && ending !== undefined) continue;
        if (!meets(state, call)) continue;
        state.applied += 1;
        faults.push(state.rule);
        if (isEnding(state.rule)) ending = state.rule;
      }
      let latencyMs = base.latencyMs + random() * base.latencyJitterMs;
      let tokenDelayMs = base.tokenDelayMs;
      for (const fault of faults) {
        if (fault.kind === 'latency') latencyMs += fault.ms + random() * fault.jitterMs;
        if (fault.kind === 'token-delay') tokenDelayMs += fault.ms;
      }
      return {
        latencyMs,
        tokenDelayMs,
        usageOmitted: faults.some(({ kind }) => kind === 'no-usage'),
        ending,
        names: faults.filter((fault) => !isEnding(fault) || fault === ending).map(spellFault),
      };
    },
  };
}

/** Faults of streams pass other calls by. */
function fits({ kind }: Fault, { stream }: CallTraits): boolean {
  return stream || (kind !== 'truncate-stream' && kind !== 'token-delay');
}

function isEnding(fault: Fault): fault is Ending {
  return fault.kind !== 'latency' && fault.kind !== 'token-delay' && fault.kind !== 'no-usage';
}
