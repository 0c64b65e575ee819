import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contract } from '../services/contract/contract.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let raw: RawClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

/** More than 22 KiB: 200 of it, a page of the client, exceed the 4 MiB that a client takes. */
const PROPERTIES = Object.fromEntries(
  Array.from({ length: 64 }, (_, index) => [`property_${index}`, 'x'.repeat(350)]),
);
/** Three bytes a character, 64 × 3 KiB: a few of it exceed what a page holds. */
const LARGEST_PROPERTIES = Object.fromEntries(
  Array.from({ length: 64 }, (_, index) => [`property_${index}`, '費'.repeat(1_024)]),
);

describe('a list of items that are too large for one answer together', () => {
  test('holds every event once, in order', { timeout: 60_000 }, async () => {
    const experienceId = randomUUID();
    const eventIds = Array.from({ length: 220 }, (_, index) => `event-${String(index).padStart(3, '0')}`);
    for (const eventId of eventIds) {
      await service.client.usage.record({
        experienceId,
        eventId,
        provider: 'openai',
        model: 'gpt-4o-mini',
        units: { text: { input: 1 } },
        properties: PROPERTIES,
      });
    }
    const listed = await readAll(service.client.usage.list(experienceId));
    expect(listed.map(({ eventId }) => eventId)).toEqual(eventIds);
    expect(listed.at(-1)?.properties).toEqual(PROPERTIES);
  });

  test('holds every experience once, the newest first, whatever the page size', async () => {
    await service.client.types.create({ name: 'Large', description: 'x' });
    const created: string[] = [];
    for (let count = 0; count < 30; count += 1) {
      const { experience } = await service.client.experiences.create({
        experienceType: 'Large',
        properties: LARGEST_PROPERTIES,
      });
      created.push(experience.experienceId);
    }
    const pages = await readPages(async (pageToken) => {
      const request = { experienceType: 'Large', pageSize: 1_000, pageToken };
      const answer = await raw.call(contract.ExperienceService.service.ListExperiences, request);
      return { items: answer.experiences, nextPageToken: answer.nextPageToken };
    });
    expect(pages.map(({ length }) => length)).toEqual([15, 15]);
    expect(pages.flat().map(({ experienceId }) => experienceId)).toEqual(created.toReversed());
  });
});
