import type { ExperiencesError } from '../client/index.js';

/** What a person can do about a refusal of the service; undefined: its message says all there is to say. */
export function hintFor({ code, reason, metadata }: ExperiencesError): string | undefined {
  const type = metadata.experience_type ?? '<type>';
  const limit = metadata.limit_id ?? '<id>';
  const experience = metadata.experience_id ?? '<id>';
  switch (reason) {
    case 'INVALID_API_KEY':
      return 'Set EXPERIENCES_API_KEY to a live key; `experiences keys create` makes one, by who has a key with the scope admin or the bootstrap key.';
    case 'SCOPE_MISSING':
      return 'A key keeps its scopes: `experiences keys create --scopes …` makes another one.';
    case 'BOOTSTRAP_KEY_REQUIRED':
      return 'The bootstrap key is the EXPERIENCES_BOOTSTRAP_KEY of the service: set EXPERIENCES_API_KEY to it.';
    case 'APPLICATION_NOT_FOUND':
      return '`experiences apps list` shows the applications there are; `experiences apps create` makes one.';
    case 'API_KEY_NOT_FOUND':
      return '`experiences keys list` shows keys with their ids.';
    case 'EXPERIENCE_TYPE_NOT_FOUND':
      return '`experiences types list` shows the types there are; `experiences types create` makes one.';
    case 'EXPERIENCE_TYPE_VERSION_NOT_FOUND':
      return `\`experiences types versions ${type}\` shows its versions.`;
    case 'EXPERIENCE_NOT_FOUND':
      return '`experiences list` shows the newest experiences.';
    case 'EXPERIENCE_RUN_NOT_FOUND':
      return `\`experiences cost ${experience}\` shows what was recorded to it.`;
    case 'PRICE_NOT_FOUND':
      return '`experiences prices <provider> <model>` shows prices with their ids.';
    case 'LIMIT_NOT_FOUND':
      return '`experiences limits list` shows limits with their ids.';
    case 'LIMIT_ALREADY_EXISTS':
      return `\`experiences limits show ${limit}\` shows it; \`experiences limits update ${limit}\` changes it.`;
    case 'LIMIT_MAX_BELOW_SPEND':
      return `\`experiences limits reset ${limit}\` begins a new period with nothing spent.`;
    case 'EXPERIENCE_TYPE_ALREADY_EXISTS':
      return `\`experiences types get ${type} --show-deleted\` shows it; \`experiences types update ${type}\` changes it.`;
    case 'EXPERIENCE_ALREADY_EXISTS':
      return 'Leave out --id to get a new one.';
    case 'EXPERIENCE_RUN_ALREADY_EXISTS':
      return `\`experiences run ${experience}\` shows that run; without --id a new one is started.`;
    case 'EVENT_ID_CONFLICT':
      return 'An event id names one call for ever: leave out --event-id to record another call.';
    case 'REPRICING_ALREADY_EXISTS':
      return 'A repricing id stands for one question: leave out --id to ask another.';
    case 'ETAG_MISMATCH':
      return 'Look at it again, then repeat with its current etag, or without --etag.';
    case 'EXPERIENCE_TYPE_HAS_NO_WORKFLOW':
      return `Name one with \`experiences types update ${type} --workflow <type>\`.`;
    case 'EXPERIENCE_HAS_NO_BUDGET':
      return 'An experience gets a budget when it is created: `experiences start --budget <amount>` without --id.';
    case 'EXPERIENCE_RUN_NOT_RUNNING':
      return `\`experiences run ${experience}\` shows how it ended.`;
    case 'QUERY_TOO_LARGE':
      return '--bucket, --type, --since and --until make it smaller.';
    case 'WORKFLOW_ENGINE_UNAVAILABLE':
      return 'Runs need a Temporal server at the TEMPORAL_ADDRESS of the service.';
    case 'STORE_UNAVAILABLE':
    case 'OVERLOADED':
    case 'SHUTTING_DOWN':
    case 'TOO_MANY_WATCHERS':
    case 'BOOK_CHECK_RUNNING':
    case 'REPAIR_RUNNING':
      return 'It may pass: try again in a moment.';
    case 'INTERNAL':
      return 'The log of the service tells more under that incident.';
    default:
      return code === 'DEADLINE_EXCEEDED' ? '--timeout <seconds> gives a call more time.' : undefined;
  }
}
