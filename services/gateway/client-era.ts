import type { IncomingHttpHeaders } from 'node:http';

/**
 * What shape of lists a caller expects. The Python client of that API reads plain arrays before alpha.60 and pages from
 * then on, from the same path, and a client that gets the other shape does not fail, it hands back nonsense. The version
 * that it states is the only sign; whoever states none reads pages.
 */
export type ListShape = 'array' | 'page';

export function listShapeOf(headers: IncomingHttpHeaders): ListShape {
  const alpha = alphaOf(headers);
  return alpha !== undefined && alpha < FIRST_WITH_PAGES ? 'array' : 'page';
}

/** 55 for `0.1.0-alpha.55`; undefined: the caller is no such client. */
export function alphaOf(headers: IncomingHttpHeaders): number | undefined {
  const stated = headers['x-stainless-package-version'];
  const version = typeof stated === 'string' ? /^0\.1\.0-alpha\.(\d{1,6})$/.exec(stated) : null;
  const match =
    version ?? /^(?:Async)?Payi\/Python 0\.1\.0-alpha\.(\d{1,6})$/i.exec(headers['user-agent'] ?? '');
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

const FIRST_WITH_PAGES = 60;
