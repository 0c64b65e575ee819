import { proxyActivities } from '@temporalio/workflow';
import type { PaidActivities } from './paid-activities.js';

/** Somebody's workflow: one paid step after the other. It knows nothing of the plugin. */
export async function paidSteps(count: number): Promise<void> {
  for (let step = 0; step < count; step += 1) await paidCall();
}

const { paidCall } = proxyActivities<PaidActivities>({ startToCloseTimeout: '1 minute' });
