import { expect } from 'vitest';
import { ExperiencesClient } from '../../services/client/index.js';

/** The service's own witness: it compares all books with the events, and finds no difference. */
export async function expectVerified(client: ExperiencesClient): Promise<void> {
  await expectNoDifference(client.admin.verify({ deep: true }));
}

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
