/**
 * What the service and the workflows that it starts agree on. Anyone's workflow can be an experience type's: it gets a
 * {@link RunInput} as its one argument, and may answer the query {@link PROGRESS_QUERY}.
 */
export interface RunInput {
  readonly document?: RunDocument;
  /** The caller's JSON object. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

export interface RunDocument {
  readonly name: string;
  readonly text: string;
}

export const PROGRESS_QUERY = 'experienceProgress';

export interface RunProgress {
  readonly phase: string;
  readonly completedSteps: number;
  /** 0: not known yet. */
  readonly totalSteps: number;
}

/** undefined for what is not a progress: workflows may be anyone's. */
export function parseRunProgress(value: unknown): RunProgress | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { phase, completedSteps, totalSteps } = value as Record<string, unknown>;
  if (typeof phase !== 'string' || !isStepCount(completedSteps) || !isStepCount(totalSteps)) return undefined;
  return { phase: phase.slice(0, 64), completedSteps, totalSteps };
}

function isStepCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= 2 ** 31 - 1;
}

export type RunState = 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED' | 'TIMED_OUT';

/** The text of a document, or what is wrong with it; a text is UTF-8 without the control characters that only binary data has, and not only white space. */
export function documentText(content: Uint8Array): { readonly text: string } | { readonly problem: string } {
  if (content.length > DOCUMENT_BYTES_MAX) {
    return { problem: `has ${content.length} bytes, more than ${DOCUMENT_BYTES_MAX}` };
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(content);
    if (BINARY.test(text)) return NO_TEXT;
    return text.trim() === '' ? { problem: 'is empty' } : { text };
  } catch {
    return NO_TEXT; // The decoder's way to say that it is no UTF-8.
  }
}

/** Of the control characters texts have tabs, line and page ends, and the escapes of terminals. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const BINARY = /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/;
const NO_TEXT = { problem: 'is not UTF-8 text' };
export const DOCUMENT_BYTES_MAX = 512 * 1024;
export const DOCUMENT_NAME_LENGTH_MAX = 256;
export const PARAMETERS_LENGTH_MAX = 64 * 1024;

/** Workflow ids are unique in a namespace, experience ids in an application. */
export function runWorkflowId(application: string, experienceId: string): string {
  return `${application}/${experienceId}`;
}
