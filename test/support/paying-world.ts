import { randomUUID } from 'node:crypto';
import type { WorkflowHandleWithFirstExecutionRunId as WorkflowHandle } from '@temporalio/client';
import { inject } from 'vitest';
import { withExperience } from '../../workflows/plugin/client.js';
import { ExperiencesPlugin } from '../../workflows/plugin/worker.js';
import * as workflows from '../fixtures/paying-workflows.js';
import { quietTemporal, temporalClient } from './metered-worker.js';
import type { Payment } from './paying-activities.js';
import {
  bundlePaying,
  type PayingWorker,
  type PayingWorkerOptions,
  startPayingWorker,
} from './paying-worker.js';
import { startTestProvider, type TestProvider } from './provider.js';
import { startTestService, type TestService } from './service.js';

/** A service, a provider and workers that pay for calls in runs, each of which is an experience. */
export interface PayingWorld {
  readonly service: TestService;
  readonly provider: TestProvider;
  readonly temporal: Awaited<ReturnType<typeof temporalClient>>;
  readonly worker: PayingWorker;
  /** Another worker with a task queue of its own, at the service's address or another. */
  startWorker(options?: Partial<PayingWorkerOptions>): Promise<PayingWorker>;
  /** Starts the workflow for a new experience; the activities of several payments follow each other. */
  pay(payments: readonly Omit<Payment, 'apiUrl'>[], rules?: workflows.PayingRules & By): Promise<Paying>;
  payForStream(payment: Omit<Payment, 'apiUrl'>): Promise<Paying>;
  payInEachRun(payment: Omit<Payment, 'apiUrl'>, count: number): Promise<Paying>;
  stop(): Promise<void>;
}

export interface Paying {
  readonly experienceId: string;
  readonly handle: WorkflowHandle;
}

interface By {
  /** Absent: the world's own. */
  readonly worker?: PayingWorker;
}

export async function startPayingWorld(): Promise<PayingWorld> {
  quietTemporal();
  const [service, provider, temporal] = await Promise.all([
    startTestService(),
    startTestProvider({ promptCache: false }),
    temporalClient(),
  ]);
  await service.client.types.create({ name: 'Paying', description: 'Pays for calls' });
  const workflowBundle = await bundlePaying([new ExperiencesPlugin({ client: service.client })]);
  const startWorker: PayingWorld['startWorker'] = (options = {}) =>
    startPayingWorker({
      temporalAddress: inject('temporalAddress'),
      serviceAddress: service.address,
      taskQueue: `paying-${randomUUID().slice(0, 8)}`,
      worker: { workflowBundle },
      ...options,
    });
  const worker = await startWorker();
  const apiUrl = provider.apiUrl;

  async function start(
    run: (options: { readonly taskQueue: string; readonly workflowId: string }) => Promise<WorkflowHandle>,
    { taskQueue }: PayingWorker = worker,
  ): Promise<Paying> {
    const experienceId = randomUUID();
    const options = { taskQueue, workflowId: `paying-${experienceId.slice(0, 8)}` };
    const handle = await withExperience({ experienceType: 'Paying', experienceId }, () => run(options));
    return { experienceId, handle };
  }

  return {
    service,
    provider,
    temporal,
    worker,
    startWorker,
    pay: (payments, { worker: by, ...rules } = {}) => {
      const paid = payments.map((payment) => ({ ...payment, apiUrl }));
      return start(
        (options) => temporal.workflow.start(workflows.pay, { ...options, args: [paid, rules] }),
        by,
      );
    },
    payForStream: (payment) =>
      start((options) =>
        temporal.workflow.start(workflows.payForStream, { ...options, args: [{ ...payment, apiUrl }] }),
      ),
    payInEachRun: (payment, count) =>
      start((options) =>
        temporal.workflow.start(workflows.payInEachRun, {
          ...options,
          args: [{ ...payment, apiUrl }, count],
        }),
      ),
    async stop() {
      await worker.stop();
      await temporal.close();
      await provider.stop();
      await service.stop();
    },
  };
}
