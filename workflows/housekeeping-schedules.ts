import {
  Client,
  Connection,
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
  type ScheduleSpec,
} from '@temporalio/client';

/** Creates the schedules that are missing; one that an operator has changed or paused stays as it is. */
export async function createHousekeepingSchedules(options: {
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly taskQueue: string;
}): Promise<void> {
  const connection = await Connection.connect({ address: options.temporalAddress });
  try {
    const client = new Client({ connection, namespace: options.temporalNamespace });
    for (const { name, spec, timeoutMinutes } of SCHEDULES) {
      await createOnce(client, name, {
        scheduleId: scheduleId(options.taskQueue, name),
        spec,
        action: {
          type: 'startWorkflow',
          workflowType: name,
          workflowId: `${scheduleId(options.taskQueue, name)}/run`,
          taskQueue: options.taskQueue,
          args: [],
          workflowExecutionTimeout: `${timeoutMinutes} minutes`,
        },
        // The one that is under way does what the next would do.
        policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 hour' },
      });
    }
  } finally {
    await connection.close();
  }
}

/** One set of schedules for each task queue: their workers talk to one service. */
export function scheduleId(taskQueue: string, name: HousekeepingName): string {
  return `experiences/${taskQueue}/${name}`;
}

export type HousekeepingName = 'sweepReservations' | 'repriceUnpriced' | 'verifySample';

async function createOnce(
  client: Client,
  name: HousekeepingName,
  schedule: Parameters<Client['schedule']['create']>[0],
): Promise<void> {
  try {
    await client.schedule.create(schedule);
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return;
    throw new Error(`the schedule of ${name} cannot be created`, { cause: error });
  }
}

const SCHEDULES: readonly {
  readonly name: HousekeepingName;
  readonly spec: ScheduleSpec;
  readonly timeoutMinutes: number;
}[] = [
  { name: 'sweepReservations', spec: { intervals: [{ every: '1 minute' }] }, timeoutMinutes: 30 },
  {
    name: 'repriceUnpriced',
    spec: { intervals: [{ every: '1 hour', offset: '20 minutes' }] },
    timeoutMinutes: 180,
  },
  // At night in UTC, when there is least to do.
  { name: 'verifySample', spec: { calendars: [{ hour: 3, minute: 40 }] }, timeoutMinutes: 180 },
];
