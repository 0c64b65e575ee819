import type { AttributionHeader } from '../domain/attribution-header.js';
import type { RunInput } from '../domain/run.js';

/** How the workflow of a run is started. */
export interface RunStart {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly taskQueue: string;
  readonly input: RunInput;
  readonly header: AttributionHeader;
}
