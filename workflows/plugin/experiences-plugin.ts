import { hostname } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type BundleOptions,
  type NexusInterceptorsFactory,
  Runtime,
  type Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import type { ExperiencesClient } from '../../services/client/index.js';
import type { UsagePort } from '../../services/client/settle.js';
import { type InterceptorSettings, meteringInterceptor } from './activity-interceptor.js';
import { readTextAttribution } from './attribution.js';
import { clientInterceptors, mergedClientInterceptors } from './client-interceptors.js';
import { withExperienceHeader } from './experience-context.js';
import {
  ExperiencesClientPlugin,
  type ExperiencesClientPluginOptions,
  once,
} from './experiences-client-plugin.js';
import type { Extractors } from './extractor.js';
import type { OnBudget } from './reserve-call.js';
import { runningCostActivities } from './running-cost.js';
import { type PluginLogger, UsageOutbox } from './usage-outbox.js';

/** The part of the client that the plugin needs. */
export interface PluginClient {
  readonly usage: UsagePort;
  readonly costs: Pick<ExperiencesClient['costs'], 'get'>;
}

/**
 * Which client an activity's calls are booked by, such as `client.as(…)` for workers that serve several applications.
 * undefined: the activity is in no workflow.
 */
export type ClientOfWorkflow = (workflowId: string | undefined) => PluginClient;

export interface ExperiencesPluginOptions extends ExperiencesClientPluginOptions {
  /** Of the Experiences service; whoever made it closes it, after the worker has ended. */
  readonly client: PluginClient | ClientOfWorkflow;
  /** Absent: `reserve`. `after` records only, and loses what a crash cuts off between an answer and its record. */
  readonly mode?: 'reserve' | 'after';
  /** What becomes of an activity whose limit refuses its call. Absent: `fail`. */
  readonly onBudget?: OnBudget;
  /** With `wait`: after how long it is tried again. Absent: 30 seconds. */
  readonly budgetRetryDelayMs?: number;
  /** By activity type, for activities whose code cannot be changed. */
  readonly extractors?: Extractors;
  /**
   * True: activities with a heartbeat timeout are kept alive by the plugin, so that a cancellation reaches their calls.
   * Their own heartbeat details do not survive it. Absent: false; they heartbeat by themselves, and their heartbeat timeout
   * must be longer than the client waits for the service.
   */
  readonly heartbeat?: boolean;
  /** How long a reservation stays open. Absent: as long as the attempt may run, and five minutes. */
  readonly reservationTtlMs?: number;
  /**
   * Up to how long the settlements of ended calls gather before they are sent, in milliseconds, behind the activity's
   * result; until then their reservations stand for them, in a crash too. 0: each is settled before the result is given
   * to Temporal, so that what reads an experience's cost after its workflow has ended finds all of it. Absent: 50. Calls
   * without a reservation are always settled before.
   */
  readonly settleDelayMs?: number;
  /** Settlements that may wait in memory for the service. Absent: 10,000. */
  readonly outboxItemsMax?: number;
  /** How long a worker that ends waits for them. Absent: 10 seconds. */
  readonly drainTimeMs?: number;
  /** Absent: that of Temporal's runtime. */
  readonly logger?: PluginLogger;
}

/**
 * Meters the activities of a worker and carries experiences through its workflows. For a workflow bundle that is made
 * ahead it goes into `bundleWorkflowCode({ plugins })` too.
 */
export class ExperiencesPlugin extends ExperiencesClientPlugin {
  readonly #settings: Omit<InterceptorSettings, 'workerIdentity'>;
  readonly #clientOf: ClientOfWorkflow;
  readonly #bundleType: string | undefined;
  readonly #drainTimeMs: number;
  #runningCount = 0;

  constructor(options: ExperiencesPluginOptions) {
    super(options);
    const { client, experienceType, outboxItemsMax } = options;
    const logger = unfailing(options.logger ?? RUNTIME_LOGGER);
    const settleDelayMs = settleDelayOf(options.settleDelayMs);
    const clientOf: ClientOfWorkflow = typeof client === 'function' ? client : () => client;
    this.#clientOf = clientOf;
    this.#bundleType = typeof experienceType === 'string' ? experienceType : undefined;
    this.#drainTimeMs = options.drainTimeMs ?? DRAIN_TIME_MS;
    this.#settings = {
      usageOf: (workflowId) => clientOf(workflowId).usage,
      logger,
      outbox: new UsageOutbox(logger, {
        gatherTimeMs: settleDelayMs,
        ...(outboxItemsMax === undefined ? {} : { itemsMax: outboxItemsMax }),
      }),
      settleDelayMs,
      mode: options.mode ?? 'reserve',
      onBudget: options.onBudget ?? 'fail',
      budgetRetryDelayMs: options.budgetRetryDelayMs ?? BUDGET_RETRY_DELAY_MS,
      reservationTtlMs: options.reservationTtlMs,
      extractors: options.extractors ?? {},
      heartbeat: options.heartbeat ?? false,
      defaultTypeOf: (type = '') =>
        this.clientSettings.defaultTypeOf({ kind: 'workflow', type, id: undefined }) ?? '',
    };
  }

  /** Settlements that the service has not taken yet. */
  get outbox(): Pick<UsageOutbox, 'size' | 'lostCount'> {
    return this.#settings.outbox;
  }

  override configureWorker(options: WorkerOptions): WorkerOptions {
    return once(options, WORKER_MARK, () => {
      const { interceptors = {}, activities } = options;
      const identity = options.identity ?? `${process.pid}@${hostname()}`;
      const metering = meteringInterceptor({ ...this.#settings, workerIdentity: () => identity });
      const client = clientInterceptors(this.clientSettings);
      return {
        ...options,
        // A worker of workflows alone must not begin to take activities that it does not have.
        ...(activities === undefined
          ? {}
          : {
              activities: { ...runningCostActivities(this.#clientOf, this.#settings.outbox), ...activities },
            }),
        interceptors: {
          ...interceptors,
          client: mergedClientInterceptors(interceptors.client, client),
          // The outermost: what makes the attempt fail, an interceptor too, makes its calls wasted.
          activity: [metering, ...(interceptors.activity ?? [])],
          nexus: [nexusInterceptor, ...(interceptors.nexus ?? [])],
        },
      };
    });
  }

  /** Also called for a worker that bundles by itself, and for a replay. */
  override configureBundler(options: BundleOptions): BundleOptions {
    return once(options, BUNDLER_MARK, () => ({
      ...options,
      workflowInterceptorModules: [...(options.workflowInterceptorModules ?? []), WORKFLOW_MODULE],
      ...(this.#bundleType === undefined
        ? {}
        : { webpackConfigHook: definesType(options, this.#bundleType) }),
    }));
  }

  override async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    this.#runningCount += 1;
    try {
      await next(worker);
    } finally {
      this.#runningCount -= 1;
      // One plugin may serve several workers; what waits belongs to them all.
      if (this.#runningCount === 0) await this.#settings.outbox.drain(this.#drainTimeMs);
    }
  }
}

function settleDelayOf(delayMs: number = SETTLE_DELAY_MS): number {
  if (Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= SETTLE_DELAY_MAX_MS) return delayMs;
  throw new RangeError(`settleDelayMs must be a whole number from 0 to ${SETTLE_DELAY_MAX_MS}`);
}

/** A Nexus operation that starts a workflow starts it for the experience of its caller. */
const nexusInterceptor: NexusInterceptorsFactory = () => ({
  inbound: {
    startOperation(input, next) {
      const attribution = readTextAttribution(input.ctx.headers);
      return attribution === undefined ? next(input) : withExperienceHeader(attribution, () => next(input));
    },
  },
});

type WebpackHook = NonNullable<BundleOptions['webpackConfigHook']>;
/** The part of webpack's compiler that is used: webpack is Temporal's dependency, not ours. */
interface Compiler {
  readonly webpack: { DefinePlugin: new (definitions: object) => { apply(compiler: Compiler): void } };
}

/** Writes the default type into the bundle: a sandbox knows nothing else of the worker's settings. */
function definesType({ webpackConfigHook }: BundleOptions, type: string): WebpackHook {
  const define = {
    apply(compiler: Compiler): void {
      const definitions = { EXPERIENCES_DEFAULT_TYPE: JSON.stringify(type) };
      new compiler.webpack.DefinePlugin(definitions).apply(compiler);
    },
  };
  return (config) => {
    const configured = webpackConfigHook?.(config) ?? config;
    const plugins = [...(configured.plugins ?? []), define] as NonNullable<typeof configured.plugins>;
    return { ...configured, plugins };
  };
}

/** A log that cannot be written must not fail an activity: it would be run, and paid, again. */
function unfailing(logger: PluginLogger): PluginLogger {
  const guarded = (write: () => void): void => {
    try {
      write();
    } catch {
      return; // There is no other place to tell it.
    }
  };
  return {
    warn: (fields, message) => guarded(() => logger.warn(fields, message)),
    error: (fields, message) => guarded(() => logger.error(fields, message)),
  };
}

const RUNTIME_LOGGER: PluginLogger = {
  warn: (fields, message) => Runtime.instance().logger.warn(message, { ...fields }),
  error: (fields, message) => Runtime.instance().logger.error(message, { ...fields }),
};

/** Sources under a test runner, JavaScript in the build. */
const WORKFLOW_MODULE = fileURLToPath(
  new URL(`./workflow-interceptors${extname(import.meta.url)}`, import.meta.url),
);
const WORKER_MARK = Symbol.for('experiences.plugin.worker');
const BUNDLER_MARK = Symbol.for('experiences.plugin.bundler');
const BUDGET_RETRY_DELAY_MS = 30_000;
const DRAIN_TIME_MS = 10_000;
const SETTLE_DELAY_MS = 50;
const SETTLE_DELAY_MAX_MS = 10_000;
