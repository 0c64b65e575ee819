import { expect } from 'vitest';
import { type BookDifference, type BookSummary, ExperiencesClient } from '../../services/client/index.js';

/** The service's own check of its books finds no difference; the oracle beside it is `expectBooks`. */
export async function expectVerified(address: string): Promise<void> {
  const client = new ExperiencesClient({ address });
  const differences: BookDifference[] = [];
  let summary: BookSummary | undefined;
  try {
    for await (const message of client.admin.verify({ deep: true })) {
      if ('difference' in message) differences.push(message.difference);
      if ('summary' in message) summary = message.summary;
    }
  } finally {
    client.close();
  }
  expect(differences).toEqual([]);
  expect(summary).toMatchObject({ differenceCount: 0n });
}
