import { setTimeout as sleep } from 'node:timers/promises';
import { metered } from '../../workflows/plugin/worker.js';

/** A paid call to nobody, which takes {@link CALL_MS}: what it takes longer is ours. */
export function createPaidActivities(isMetered: boolean) {
  return {
    async paidCall(): Promise<void> {
      if (!isMetered) return sleep(CALL_MS);
      return metered({ provider: 'openai', model: 'gpt-4o-mini' }, { units: ESTIMATE }, async (report) => {
        await sleep(CALL_MS);
        report({ units: UNITS });
      });
    },
  };
}

export type PaidActivities = ReturnType<typeof createPaidActivities>;

export const CALL_MS = 50;
const ESTIMATE = { text: { input: 1_000, output: 1_000 } };
const UNITS = { text: { input: 1_000, output: 500 } };
