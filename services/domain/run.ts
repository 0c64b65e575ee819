/**
 * What the service and the workflows that it starts agree on. Anyone's workflow can be an experience type's: it gets a
 * {@link RunInput} as its one argument, and may answer the query {@link PROGRESS_QUERY}.
 */
export interface RunInput {
  readonly document?: RunDocument;
  /** The caller's JSON object. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** A committed document, by reference: its content is read from the service. */
export interface RunDocument {
  readonly documentId: string;
  readonly name: string;
  readonly sizeBytes: number;
}

export const PROGRESS_QUERY = 'experienceProgress';

/**
 * Tells a run that its budget was raised, with a {@link BudgetRaise} as the one argument. The update is answered by a run
 * that takes it; the signal says the same, and waits for a worker that comes later.
 */
export const RAISE_BUDGET_UPDATE = 'raiseBudget';
export const BUDGET_RAISED_SIGNAL = 'budgetRaised';

export interface BudgetRaise {
  /** The new maximum in USD, a decimal string. */
  readonly maxCost: string;
}

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
    if (isBinaryText(text)) return NO_TEXT;
    return text.trim() === '' ? { problem: 'is empty' } : { text };
  } catch {
    return NO_TEXT; // The decoder's way to say that it is no UTF-8.
  }
}

/** Whether it has control characters that only binary data has. */
export function isBinaryText(text: string): boolean {
  return BINARY.test(text);
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

/** The experience of a run, from its workflow's id. */
export function experienceIdOfRun(workflowId: string): string {
  return workflowId.slice(workflowId.lastIndexOf('/') + 1);
}

/** The application of a run or of a part of it, from its workflow's id; undefined: it is no run that the service started. */
export function applicationOfRun(workflowId: string): string | undefined {
  return /^([a-z0-9-]{1,32})\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:\/|$)/.exec(workflowId)?.[1];
}
