import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';

export interface ContractMethod {
  /** `AdminService/Verify` */
  readonly name: string;
  /** As gRPC sends it. */
  readonly path: string;
  /** `READ`, as the option says. */
  readonly scope: string;
}

/** All methods of the contract, as its text has them: read by nothing that the service reads them by. */
export function contractMethods(): readonly ContractMethod[] {
  const folder = join(PACKAGE_ROOT, 'proto', 'experiences', 'v1');
  return readdirSync(folder).flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8').replaceAll(/^\s*\/\/.*$/gm, '');
    const service = /^service (\w+) \{/m.exec(text)?.[1];
    if (service === undefined) return [];
    return [...text.matchAll(/^ {2}rpc (\w+)[^;{]*\{(.*?)^ {2}\}/gms)].map(([, method, options = '']) => ({
      name: `${service}/${method}`,
      path: `/experiences.v1.${service}/${method}`,
      scope: /\(required_scope\) = SCOPE_(\w+)/.exec(options)?.[1] ?? '',
    }));
  });
}
