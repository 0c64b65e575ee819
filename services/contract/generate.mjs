// Generates what TypeScript needs of the contract: types for each message and service, and the descriptor set that
// reflection serves. Run by `npm run generate`; the output is not committed.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const generated = join(root, 'services', 'contract', 'generated');
const bin = (name) => join(root, 'node_modules', '.bin', name);

rmSync(generated, { recursive: true, force: true });
mkdirSync(generated, { recursive: true });

// The options here and LOADER_OPTIONS in contract.ts say the same; test/contract.test.ts holds them together.
const protos = ['experiences/v1', 'google/rpc'].flatMap((folder) =>
  readdirSync(join(root, 'proto', folder))
    .filter((file) => file.endsWith('.proto'))
    .map((file) => `${folder}/${file}`),
);
const typeOptions = ['--longs=String', '--enums=String', '--defaults', '--oneofs', '--includeComments'];
execFileSync(
  bin('proto-loader-gen-types'),
  [
    ...typeOptions,
    '--importFileExtension=.js',
    '--grpcLib=@grpc/grpc-js',
    `--includeDirs=${join(root, 'proto')}`,
    `--outDir=${generated}`,
    ...protos,
  ],
  { cwd: join(root, 'proto'), stdio: ['ignore', 'ignore', 'inherit'] },
);
execFileSync(
  bin('buf'),
  ['build', join(root, 'proto'), '--as-file-descriptor-set', '-o', join(generated, 'descriptors.binpb')],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
