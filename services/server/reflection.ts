import { readFileSync } from 'node:fs';
import type { handleBidiStreamingCall, Server, ServiceDefinition } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import protobuf from 'protobufjs';
import { DESCRIPTOR_SET_FILE } from '../contract/contract.js';
import type { Logger } from '../runtime/logger.js';
import type { Authenticator } from './authenticator.js';
import { toStatus } from './status.js';

/**
 * Serves the contract by reflection, from the descriptors that buf made: those that the loader derives lose their file
 * names and imports, and clients cannot use them. It is for callers that are known, where keys are asked for; to them it
 * tells nothing of what is kept.
 */
export function addReflection(
  server: Server,
  { authenticator, logger }: { readonly authenticator: Authenticator; readonly logger: Logger },
): void {
  const fileDescriptorProtos = splitDescriptorSet(readFileSync(DESCRIPTOR_SET_FILE));
  // Of a package definition it reads only the descriptors that its members carry.
  const definition = { contract: { fileDescriptorProtos } } as unknown as PackageDefinition;
  const guarded = (handle: HandleStream): HandleStream => {
    return (call) => {
      call.on('error', () => undefined); // Without a listener a cut connection would end the process.
      authenticator.callerOf(call.metadata).then(
        () => handle(call),
        (error: unknown) => call.emit('error', toStatus(error, logger, call.getPath())),
      );
    };
  };
  // All that it does with the server is to add its service, once for each version of the protocol.
  const adder = {
    addService(service: ServiceDefinition, { ServerReflectionInfo }: Record<string, HandleStream>) {
      if (ServerReflectionInfo === undefined) throw new Error('reflection is one method');
      server.addService(service, { ServerReflectionInfo: guarded(ServerReflectionInfo) });
    },
  } as unknown as Server;
  new ReflectionService(definition).addToServer(adder);
}

type HandleStream = handleBidiStreamingCall<unknown, unknown>;

/** A FileDescriptorSet is a message of one repeated field, number 1: the files' own bytes. */
function splitDescriptorSet(bytes: Uint8Array): Uint8Array[] {
  const reader = protobuf.Reader.create(bytes);
  const files: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === FILE_TAG) files.push(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return files;
}

const FILE_TAG = (1 << 3) | 2;
