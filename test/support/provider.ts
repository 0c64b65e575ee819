import type { FaultRuleInput } from '../../services/simulator/faults.js';
import { type Simulator, startSimulator } from '../../services/simulator/simulator.js';

/** The provider simulator in this process, and what it says it served: the witness of the tests. */
export interface TestProvider extends Simulator {
  fail(...rules: readonly FaultRuleInput[]): Promise<void>;
  served(): Promise<Served>;
  /** Forgets faults and what was served. */
  reset(): Promise<void>;
}

export interface Served {
  readonly inFlight: number;
  readonly calls: readonly ServedCall[];
}

export interface ServedCall {
  /** The request's header `x-simulator-tag`. */
  readonly tag?: string;
  readonly responseId?: string;
  readonly status?: number;
  readonly billed: boolean;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly outcome: string;
}

export async function startTestProvider(
  options: Parameters<typeof startSimulator>[0] = {},
): Promise<TestProvider> {
  const simulator = await startSimulator(options);
  const request = async (path: string, init: RequestInit = {}): Promise<unknown> => {
    const response = await fetch(`${simulator.url}${path}`, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    ...simulator,
    async fail(...rules) {
      const headers = { 'content-type': 'application/json' };
      await request('/simulator/faults', { method: 'POST', headers, body: JSON.stringify({ rules }) });
    },
    async served() {
      return (await request('/simulator/served')) as Served;
    },
    async reset() {
      await request('/simulator/faults', { method: 'DELETE' });
      await request('/simulator/served', { method: 'DELETE' });
    },
  };
}
