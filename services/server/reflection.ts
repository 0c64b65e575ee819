import { readFileSync } from 'node:fs';
import type { Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import protobuf from 'protobufjs';
import { DESCRIPTOR_SET_FILE } from '../contract/contract.js';

/**
 * Serves the contract by reflection, from the descriptors that buf made: those that the loader derives lose their file
 * names and imports, and clients cannot use them.
 */
export function addReflection(server: Server): void {
  const fileDescriptorProtos = splitDescriptorSet(readFileSync(DESCRIPTOR_SET_FILE));
  // Of a package definition it reads only the descriptors that its members carry.
  const definition = { contract: { fileDescriptorProtos } } as unknown as PackageDefinition;
  new ReflectionService(definition).addToServer(server);
}

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
