import type { ResolvedAttribution } from './resolve-attribution.js';

/**
 * What the plugin knows of the run that this sandbox executes. Globals of the sandbox are those of one run, and a global
 * symbol lets two installed copies of the plugin find the same.
 */
interface RunSlots {
  [RUN]?: ResolvedAttribution;
  [STEP]?: StepStorage;
  /** Temporal's, in every sandbox; its Node module cannot be imported there. */
  readonly AsyncLocalStorage?: new () => StepStorage;
}

interface StepStorage {
  getStore(): string | undefined;
  run<T>(step: string, work: () => T): T;
}

const RUN = Symbol.for('experiences.run');
const STEP = Symbol.for('experiences.step');

export function currentRun(): ResolvedAttribution | undefined {
  return (globalThis as RunSlots)[RUN];
}

export function setCurrentRun(run: ResolvedAttribution): void {
  (globalThis as RunSlots)[RUN] = run;
}

export function currentStep(): string | undefined {
  return (globalThis as RunSlots)[STEP]?.getStore();
}

export function runStep<T>(step: string, work: () => T): T {
  const slots = globalThis as RunSlots;
  if (slots[STEP] === undefined) {
    if (slots.AsyncLocalStorage === undefined) throw new Error('withStep is for workflow code');
    slots[STEP] = new slots.AsyncLocalStorage();
  }
  return slots[STEP].run(step, work);
}
