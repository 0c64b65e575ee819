import { join } from 'node:path';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type Options } from '@grpc/proto-loader';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import type { ProtoGrpcType as AdminTypes } from './generated/admin_service.js';
import type { ProtoGrpcType as CostTypes } from './generated/cost_service.js';
import type { ProtoGrpcType as DocumentTypes } from './generated/document_service.js';
import type { ProtoGrpcType as RunTypes } from './generated/experience_run_service.js';
import type { ProtoGrpcType as ExperienceTypes } from './generated/experience_service.js';
import type { ProtoGrpcType as TypeTypes } from './generated/experience_type_service.js';
import type { ProtoGrpcType as LimitTypes } from './generated/limit_service.js';
import type { ProtoGrpcType as PriceTypes } from './generated/price_service.js';
import type { ProtoGrpcType as RunStateTypes } from './generated/run_state_service.js';
import type { ProtoGrpcType as UsageTypes } from './generated/usage_service.js';

/** The generator of the types in generate.mjs is called with the same options: they must agree. */
export const LOADER_OPTIONS: Options = { longs: String, enums: String, defaults: true, oneofs: true };

const SERVICE_FILES = [
  'experience_type_service',
  'experience_service',
  'usage_service',
  'cost_service',
  'experience_run_service',
  'price_service',
  'admin_service',
  'limit_service',
  'document_service',
  'run_state_service',
  'error_reason',
].map((name) => `experiences/v1/${name}.proto`);
const ERROR_FILES = ['google/rpc/status.proto', 'google/rpc/error_details.proto'];

const definition = loadSync([...SERVICE_FILES, ...ERROR_FILES], {
  ...LOADER_OPTIONS,
  includeDirs: [join(PACKAGE_ROOT, 'proto')],
});

type ContractTypes = TypeTypes &
  ExperienceTypes &
  UsageTypes &
  CostTypes &
  RunTypes &
  PriceTypes &
  AdminTypes &
  LimitTypes &
  DocumentTypes &
  RunStateTypes;

/** Client constructors and service definitions of `experiences.v1`. */
export const contract = (loadPackageDefinition(definition) as unknown as ContractTypes).experiences.v1;

/** Encoders and decoders of the messages that error details are made of. */
export function errorMessageType(name: ErrorMessageName): MessageTypeDefinition<object, object> {
  const found = definition[`google.rpc.${name}`];
  if (found === undefined || !('serialize' in found))
    throw new Error(`google.rpc.${name} is not in the contract`);
  return found as MessageTypeDefinition<object, object>;
}

export type ErrorMessageName = 'Status' | 'ErrorInfo' | 'BadRequest' | 'RetryInfo';

/** Descriptors of the whole contract, as reflection serves them. */
export const DESCRIPTOR_SET_FILE = join(
  PACKAGE_ROOT,
  'services',
  'contract',
  'generated',
  'descriptors.binpb',
);
export const ERROR_DOMAIN = 'experiences.v1';
