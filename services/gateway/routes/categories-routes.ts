import { z } from 'zod';
import type { ExperiencesClient, Price } from '../../client/index.js';
import { categoryOf, isSystemCategory, providerOfCategory, sourceOfCategory } from '../category.js';
import { HttpFault } from '../http-fault.js';
import { listAnswer } from '../pages.js';
import type { RouteGroup } from '../route-group.js';
import { resourceWriter, SINCE_EVER } from './resource-json.js';

/** Categories: the providers that have prices. They arise with their first resource. */
export const categoriesRoutes: RouteGroup = (app, gateway) => {
  app.get('/api/v1/categories', async (request) => {
    const { prices } = gateway.clientOf(request);
    return listAnswer(
      request,
      ({ pageSize, pageToken }) => prices.providersPage({ pageSize, pageToken }),
      ({ modelCount, firstEffectiveTime, ...provider }) => ({
        category: categoryOf(provider),
        resource_count: modelCount,
        start_timestamp: (firstEffectiveTime ?? SINCE_EVER).toISOString(),
      }),
    );
  });

  app.get('/api/v1/categories/:category/resources', async (request) => {
    const client = gateway.clientOf(request);
    const { category } = PARAMS.parse(request.params);
    const toJson = resourceWriter(request);
    const models = ofCategory(category);
    return listAnswer(
      request,
      async ({ pageSize, pageToken }) => {
        const answer = await client.prices.inForcePage(models, { pageSize, pageToken });
        if (answer.items.length === 0 && pageToken === '') await checkCategory(client, category);
        return answer;
      },
      (price: Price) => toJson({ price, endTime: undefined }),
    );
  });

  app.delete('/api/v1/categories/:category', async (request) => {
    const client = gateway.clientOf(request);
    const { category } = PARAMS.parse(request.params);
    checkNotSystem(category);
    await checkCategory(client, category);
    const toJson = resourceWriter(request);
    const retired: object[] = [];
    for (const model of await modelsOf(client, category)) {
      for (const { price, retireTime } of await client.prices.retireModel(
        providerOfCategory(category),
        model,
      ))
        retired.push(toJson({ price, endTime: retireTime }));
    }
    return retired;
  });
};

/** The catalogue is the service's and the same for all. */
export function checkNotSystem(category: string): void {
  if (!isSystemCategory(category)) return;
  throw new HttpFault(
    400,
    'request_processing_error',
    "Categories that begin with 'system.' are not yours to change.",
  );
}

/** One whose resources are all retired is still there. */
export async function checkCategory(client: ExperiencesClient, category: string): Promise<void> {
  for await (const _price of client.prices.list(ofCategory(category))) return;
  throw new HttpFault(404, 'category_not_found', 'There is no such category.');
}

export function ofCategory(category: string): Pick<Price, 'provider' | 'source'> {
  return { provider: providerOfCategory(category), source: sourceOfCategory(category) };
}

async function modelsOf(client: ExperiencesClient, category: string): Promise<ReadonlySet<string>> {
  const models = new Set<string>();
  for await (const { model } of client.prices.list(ofCategory(category))) {
    models.add(model.toLowerCase());
    if (models.size > MODELS_MAX) {
      const message = `The category has more than ${MODELS_MAX} resources: delete them one by one.`;
      throw new HttpFault(400, 'request_processing_error', message);
    }
  }
  return models;
}

const PARAMS = z.object({ category: z.string() });
/** Of one request: each takes a transaction. */
const MODELS_MAX = 1_000;
