import type { IncomingHttpHeaders } from 'node:http';
import { HttpFault } from './http-fault.js';

/** The version of its type that a new experience gets; undefined: the current one. */
export function versionHeaderOf(headers: IncomingHttpHeaders): number | undefined {
  for (const name of NAMES) {
    const text = headers[name];
    if (text === undefined || text === '') continue;
    const version = typeof text === 'string' && /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (version >= 1 && version <= VERSION_MAX) return version;
    throw new HttpFault(
      400,
      'request_processing_error',
      `The header '${name}' must be a version, from 1 on.`,
    );
  }
  return undefined;
}

/** The first is the only one that was ever documented, for both eras. */
const NAMES = ['xproxy-usecase-version', 'xproxy-experience-version'] as const;
const VERSION_MAX = 2 ** 31 - 1;
