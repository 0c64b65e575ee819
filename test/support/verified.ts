import { expect } from 'vitest';
import { ExperiencesClient } from '../../services/client/index.js';

/** The service's own witness: it compares all books with the events, and finds no difference. */
export async function expectVerified(client: ExperiencesClient): Promise<void> {
  await expectNoDifference(client.admin.verify({ deep: true }));
  await expectReadable(client);
}

/** What is kept can be read: costs by the hour of all types, and of each version its distribution. */
async function expectReadable(client: ExperiencesClient): Promise<void> {
  const hour = (offset: number) => new Date(Math.floor(Date.now() / HOUR_MS + offset) * HOUR_MS);
  const range = { startTime: hour(-24), endTime: hour(2) };
  await client.costs.query({ ...range, groupBy: ['PROVIDER', 'MODEL'], timeBucket: 'HOUR' });
  for await (const { name, currentVersion } of client.types.list()) {
    const report = await client.costs.query({
      ...range,
      experienceType: name,
      groupBy: ['EXPERIENCE_VERSION'],
    });
    expect(report.rows.length).toBeLessThanOrEqual(currentVersion);
    for (let version = 1; version <= currentVersion; version += 1)
      await client.costs.distribution(name, { experienceVersion: version });
  }
}

const HOUR_MS = 3_600_000;

/** Messages of a verify or a repair, of books that need none. */
export async function expectNoDifference(
  messages: ReturnType<ExperiencesClient['admin']['verify']>,
): Promise<void> {
  let differenceCount: bigint | undefined;
  for await (const message of messages) {
    if ('difference' in message) expect(message.difference).toBeUndefined();
    if ('summary' in message) differenceCount = message.summary.differenceCount;
  }
  expect(differenceCount).toBe(0n);
}

export async function expectVerifiedAt(address: string): Promise<void> {
  const client = new ExperiencesClient({ address });
  try {
    await expectVerified(client);
  } finally {
    client.close();
  }
}
