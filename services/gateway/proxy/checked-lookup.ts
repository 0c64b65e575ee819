import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPrivateAddress } from './private-address.js';

/** A name that resolves to an address that is not public, at the moment of connecting. */
export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress';
  readonly code = 'ERR_PRIVATE_ADDRESS';
}

/**
 * Resolves a name for one connection and refuses it if any of its addresses is not public. The connection is made to the
 * very addresses that were looked at, so a name that resolves otherwise a moment later is no way around it.
 */
export function checkedLookup(resolve: Resolve = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) {
        callback(error ?? new Error('the host has no address'), '', 0);
      } else if (addresses.some(({ address }) => isPrivateAddress(address))) {
        callback(new PrivateAddress('the host has an address that is not public'), '', 0);
      } else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** Node's own resolver, as far as it is used. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;
