import { Context } from '@temporalio/activity';
import type { ExperiencesClient } from '../services/client/index.js';
import { applicationOfRun } from '../services/domain/run.js';

/**
 * The service's client in the name of the application whose run an activity belongs to. A worker with the bootstrap key
 * serves the runs of every application so; with a key of one application the service refuses it those of others.
 */
export class RunClients {
  readonly #client: ExperiencesClient;
  readonly #apiKey: string | undefined;

  constructor(client: ExperiencesClient, apiKey: string | undefined) {
    this.#client = client;
    this.#apiKey = apiKey;
  }

  ofApplication(application: string): ExperiencesClient {
    return this.#client.as({ application, ...(this.#apiKey === undefined ? {} : { apiKey: this.#apiKey }) });
  }

  /** A workflow that is no run of the service's making belongs to the key's own application. */
  ofWorkflow(workflowId: string | undefined): ExperiencesClient {
    const application = workflowId === undefined ? undefined : applicationOfRun(workflowId);
    return application === undefined ? this.#client : this.ofApplication(application);
  }

  get documents(): ExperiencesClient['documents'] {
    return this.#ofActivity().documents;
  }

  get runState(): ExperiencesClient['runState'] {
    return this.#ofActivity().runState;
  }

  get costs(): ExperiencesClient['costs'] {
    return this.#ofActivity().costs;
  }

  #ofActivity(): ExperiencesClient {
    return this.ofWorkflow(Context.current().info.workflowExecution?.workflowId);
  }
}
