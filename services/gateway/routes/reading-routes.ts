import { pageQueryOf } from '../pages.js';
import { pathPart } from '../path-part.js';
import {
  barJson,
  comparisonJson,
  dearJson,
  distributionJson,
  eventJson,
  rowJson,
  sumJson,
  totalsJson,
} from '../reading-json.js';
import type { RouteGroup } from '../route-group.js';
import { queryNumber, queryPercentiles, requiredNumber, seriesQuery, VERSION_MAX } from './reading-query.js';

/** What was spent, for programs. These paths are ours: that API never had any for it. */
export const readingRoutes: RouteGroup = (app, { clientOf }) => {
  app.get(`${COSTS}/experiences/:id`, async (request) => {
    const cost = await clientOf(request).costs.get(pathPart(request, 'id'), { showDeleted: true });
    return {
      experience_id: cost.experienceId,
      experience_type: cost.experienceType,
      experience_version: cost.experienceVersion,
      ...totalsJson(cost.totals),
    };
  });

  app.get(`${COSTS}/experiences/:id/events`, async (request) => {
    const { limit, cursor = '' } = pageQueryOf(request.query);
    const page = { pageSize: limit, pageToken: cursor };
    const { items, nextPageToken } = await clientOf(request).usage.page(pathPart(request, 'id'), page);
    return { items: items.map(eventJson), cursor: nextPageToken === '' ? null : nextPageToken };
  });

  app.get(`${COSTS}/types/:name/distribution`, async (request) => {
    const { query } = request;
    const experienceVersion = queryNumber(query, 'version', VERSION_MAX);
    const percentiles = queryPercentiles(query);
    const dearestCount = queryNumber(query, 'dearest', DEAREST_MAX);
    const barCountMax = queryNumber(query, 'bars', BARS_MAX);
    const answer = await clientOf(request).costs.distribution(pathPart(request, 'name'), {
      ...(experienceVersion === undefined ? {} : { experienceVersion }),
      ...(percentiles === undefined ? {} : { percentiles }),
      ...(dearestCount === undefined ? {} : { dearestCount }),
      ...(barCountMax === undefined ? {} : { barCountMax }),
    });
    return {
      ...distributionJson(answer.distribution),
      bars: answer.bars.map(barJson),
      dearest_experiences: answer.dearestExperiences.map(dearJson),
    };
  });

  app.get(`${COSTS}/series`, async (request) => {
    const { rows, total } = await clientOf(request).costs.query(seriesQuery(request.query));
    return { rows: rows.map(rowJson), total: sumJson(total) };
  });

  app.get(`${COSTS}/types/:name/versions/compare`, async (request) => {
    const { query } = request;
    const [from, to] = [requiredNumber(query, 'from', VERSION_MAX), requiredNumber(query, 'to', VERSION_MAX)];
    const percentiles = queryPercentiles(query);
    const options = percentiles === undefined ? {} : { percentiles };
    const name = pathPart(request, 'name');
    const answer = await clientOf(request).costs.compareVersions(name, from, to, options);
    return {
      from: distributionJson(answer.first),
      to: distributionJson(answer.second),
      comparison: answer.comparison === undefined ? undefined : comparisonJson(answer.comparison),
    };
  });
};

const COSTS = '/api/v1/costs';
const DEAREST_MAX = 100;
const BARS_MAX = 60;
