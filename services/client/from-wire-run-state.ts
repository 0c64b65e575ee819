import type { ConversationTurn__Output } from '../contract/generated/experiences/v1/ConversationTurn.js';
import type { RunOutput__Output } from '../contract/generated/experiences/v1/RunOutput.js';
import type { StoredDocument__Output } from '../contract/generated/experiences/v1/StoredDocument.js';
import type { StoredDocument } from './document-types.js';
import { fromWireTime } from './from-wire.js';
import type { ConversationTurn, RunOutput } from './run-state-types.js';

/** The contract's messages of documents and run states as what callers get. */

export function fromWireStoredDocument(wire: StoredDocument__Output | null): StoredDocument {
  if (wire === null) throw new Error('the service left out a document that the contract promises');
  return {
    documentId: wire.documentId,
    name: wire.name || undefined,
    sizeBytes: Number(wire.sizeBytes),
    committed: wire.committed,
    sha256: wire.sha256 || undefined,
    partSizeBytes: wire.partSizeBytes,
    createTime: fromWireTime(wire.createTime) ?? new Date(0),
    expireTime: fromWireTime(wire.expireTime) ?? new Date(0),
  };
}

export function fromWireTurn(wire: ConversationTurn__Output | null): ConversationTurn {
  if (wire === null) throw new Error('the service left out a turn that the contract promises');
  return {
    turnId: wire.turnId,
    number: wire.number,
    question: wire.question,
    answer: wire.answer,
    passages: wire.passages.map(({ offset, length, text }) => ({
      offset: Number(offset),
      length: Number(length),
      text,
    })),
    createTime: fromWireTime(wire.createTime) ?? new Date(0),
  };
}

export function fromWireOutput(wire: RunOutput__Output): RunOutput {
  const { outputKey, attempt, sequence, text, final } = wire;
  return { outputKey, attempt, sequence, text, final };
}
