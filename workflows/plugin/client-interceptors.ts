import type {
  ActivityClientInterceptor,
  ClientInterceptors,
  NexusClientInterceptor,
  ScheduleClientInterceptor,
  WorkflowClientInterceptor,
} from '@temporalio/client';
import {
  defineSearchAttributeKey,
  type SearchAttributePair,
  TypedSearchAttributes,
} from '@temporalio/common';
import { ATTRIBUTION_HEADER, type AttributionHeader } from '../../services/domain/attribution-header.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { type Headers, withAttribution, withTextAttribution } from './attribution.js';
import { currentExperience } from './experience-context.js';
import { ID_ATTRIBUTE, TYPE_ATTRIBUTE, uuidAtEnd } from './resolve-attribution.js';

/** What is about to be started. */
export interface StartFacts {
  readonly kind: 'workflow' | 'activity' | 'nexus';
  /** Of the workflow or activity; for Nexus `service/operation`. */
  readonly type: string;
  readonly id: string | undefined;
}

export interface ClientInterceptorSettings {
  /** Where no experience is named. undefined: none. */
  readonly defaultTypeOf: (start: StartFacts) => string | undefined;
  /** Whether ExperienceId and ExperienceType are registered. */
  readonly searchAttributes: boolean;
}

type CurrentInterceptors = Required<Omit<ClientInterceptors, 'workflow'>> & {
  readonly workflow: WorkflowClientInterceptor[];
};

/** Writes the experience into the headers of whatever a client starts. A header that is there already stays. */
export function clientInterceptors(settings: ClientInterceptorSettings): CurrentInterceptors {
  const attributionOf = (start: StartFacts): AttributionHeader | undefined => {
    const named = currentExperience();
    const type = named?.experienceType || settings.defaultTypeOf(start) || '';
    if (named === undefined && type === '') return undefined;
    const { originalRunId: _run, step: _step, marker: _marker, ...rest } = named ?? EMPTY;
    return { ...rest, experienceType: type };
  };
  const ofWorkflow = (type: string, options: { readonly workflowId: string }) =>
    attributionOf({ kind: 'workflow', type, id: options.workflowId });

  const workflow: WorkflowClientInterceptor = {
    startWithDetails(input, next) {
      const attribution = ofWorkflow(input.workflowType, input.options);
      const options = withSearchAttributes(input.options, attribution, settings);
      return next({ ...input, options, headers: added(input.headers, attribution) });
    },
    signalWithStart(input, next) {
      const attribution = ofWorkflow(input.workflowType, input.options);
      const options = withSearchAttributes(input.options, attribution, settings);
      return next({ ...input, options, headers: added(input.headers, attribution) });
    },
    startUpdateWithStart(input, next) {
      const attribution = ofWorkflow(input.workflowType, input.workflowStartOptions);
      return next({
        ...input,
        workflowStartOptions: withSearchAttributes(input.workflowStartOptions, attribution, settings),
        workflowStartHeaders: added(input.workflowStartHeaders, attribution),
        updateHeaders: added(input.updateHeaders, attribution),
      });
    },
    signal: (input, next) => next({ ...input, headers: added(input.headers, currentExperience()) }),
    startUpdate: (input, next) => next({ ...input, headers: added(input.headers, currentExperience()) }),
  };

  const schedule: ScheduleClientInterceptor = {
    create(input, next) {
      const { action } = input.options;
      const attribution = attributionOf({
        kind: 'workflow',
        type: action.workflowType,
        id: action.workflowId,
      });
      if (attribution === undefined) return next(input);
      // The header is fixed for all firings: with an id they would all be one experience.
      const { experienceId: _id, ...perFiring } = attribution;
      return next({ ...input, headers: added(input.headers, perFiring) });
    },
  };

  const activity: ActivityClientInterceptor = {
    start(input, next) {
      const { id } = input.options;
      const attribution = attributionOf({ kind: 'activity', type: input.activityType, id });
      if (attribution === undefined) return next(input);
      // No workflow gives it an id, and all its attempts have to share one.
      const experienceId = attribution.experienceId ?? uuidAtEnd(id ?? '') ?? newUuid();
      return next({ ...input, headers: added(input.headers, { ...attribution, experienceId }) });
    },
  };

  const nexus: NexusClientInterceptor = {
    startOperation(input, next) {
      const type = `${input.service}/${input.operation}`;
      const attribution = attributionOf({ kind: 'nexus', type, id: input.id });
      return next({ ...input, headers: withTextAttribution(input.headers, attribution) });
    },
  };
  return { workflow: [workflow], schedule: [schedule], activity: [activity], nexus: [nexus] };
}

/** The user's own first, so that ours sees what they have made of the call; the old form of theirs stays too. */
export function mergedClientInterceptors(
  own: ClientInterceptors | undefined,
  ours: CurrentInterceptors,
): ClientInterceptors {
  const workflow = own?.workflow;
  return {
    ...own,
    workflow:
      workflow === undefined || Array.isArray(workflow)
        ? [...(workflow ?? []), ...ours.workflow]
        : { ...workflow, calls: [...(workflow.calls ?? []), ...ours.workflow.map((one) => () => one)] },
    schedule: [...(own?.schedule ?? []), ...ours.schedule],
    activity: [...(own?.activity ?? []), ...ours.activity],
    nexus: [...(own?.nexus ?? []), ...ours.nexus],
  };
}

function added<H extends Headers>(headers: H, attribution: AttributionHeader | undefined): H {
  if (attribution === undefined || Object.hasOwn(headers, ATTRIBUTION_HEADER)) return headers;
  return withAttribution(headers, attribution) as H;
}

interface StartOptions {
  readonly typedSearchAttributes?: SearchAttributePair[] | TypedSearchAttributes;
}

function withSearchAttributes<O extends StartOptions>(
  options: O,
  attribution: AttributionHeader | undefined,
  { searchAttributes }: ClientInterceptorSettings,
): O {
  if (!searchAttributes || attribution === undefined) return options;
  const { experienceId, experienceType } = attribution;
  const pairs: SearchAttributePair[] = [
    ...(experienceId === undefined ? [] : [{ key: ID_KEY, value: experienceId as string }]),
    ...(experienceType === '' ? [] : [{ key: TYPE_KEY, value: experienceType }]),
  ];
  const given = options.typedSearchAttributes;
  const before = given instanceof TypedSearchAttributes ? given.getAll() : (given ?? []);
  const names = new Set(before.map(({ key }) => key.name));
  const ours = pairs.filter(({ key }) => !names.has(key.name));
  return { ...options, typedSearchAttributes: [...before, ...ours] };
}

const EMPTY: AttributionHeader = { experienceType: '', experienceVersion: 0 };
const ID_KEY = defineSearchAttributeKey(ID_ATTRIBUTE, 'KEYWORD');
const TYPE_KEY = defineSearchAttributeKey(TYPE_ATTRIBUTE, 'KEYWORD');
