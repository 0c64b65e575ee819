import type { RunOutput } from '../domain/run-output.js';
import type { Uuid } from '../domain/uuid.js';
import type { RunOutputDocument } from './state-documents.js';

export function fromOutputDocument(document: RunOutputDocument): RunOutput {
  const { k, at, s } = document._id;
  return { outputKey: k, attempt: at, sequence: s, text: document.tx, final: document.f === true };
}

/** Who is told what every process publishes. */
export interface RunOutputListener {
  /** Called in the order of commits. */
  onOutput(application: string, experienceId: Uuid, output: RunOutput): void;
  /** The stream has ended for good: what came after is not told. */
  onEnd(error: unknown): void;
}
