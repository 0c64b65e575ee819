import type { ExperienceType, ExperienceTypeVersion } from '../client/index.js';
import { factsText } from './facts-text.js';
import { limitConfigText } from './limits-table.js';
import { timeText } from './number-text.js';
import { tableText } from './table.js';
import { visibleLine } from './visible-text.js';

export function typesTable(types: readonly ExperienceType[]): string {
  if (types.length === 0) {
    return 'There is no experience type yet: `experiences types create` makes one.';
  }
  return tableText(
    [
      { head: 'NAME' },
      { head: 'VERSION', align: 'right' },
      { head: 'WORKFLOW', optional: true },
      { head: 'TASK QUEUE', optional: true },
      { head: 'DELETED', optional: true },
      { head: 'DESCRIPTION' },
    ],
    types.map((type) => [
      type.name,
      String(type.currentVersion),
      visibleLine(type.workflowType ?? '', NAME_WIDTH_MAX),
      visibleLine(type.taskQueue ?? '', NAME_WIDTH_MAX),
      type.deleteTime === undefined ? '' : timeText(type.deleteTime),
      visibleLine(type.description, DESCRIPTION_WIDTH_MAX),
    ]),
  );
}

export function typeFacts(type: ExperienceType): string {
  return factsText([
    ['Type', type.name],
    ['Description', type.description],
    ['Version', String(type.currentVersion)],
    ['Workflow', type.workflowType ?? 'none: it is recorded only'],
    ['Task queue', type.workflowType === undefined ? undefined : (type.taskQueue ?? "the service's default")],
    ['Limit', type.limitConfig === undefined ? undefined : limitConfigText(type.limitConfig)],
    ['Created', timeText(type.createTime)],
    ['Changed', timeText(type.updateTime)],
    ['Deleted', type.deleteTime === undefined ? undefined : timeText(type.deleteTime)],
    ['Etag', type.etag],
  ]);
}

export function versionsTable(versions: readonly ExperienceTypeVersion[]): string {
  return tableText(
    [{ head: 'VERSION', align: 'right' }, { head: 'SINCE' }],
    versions.map(({ version, createTime }) => [String(version), timeText(createTime)]),
  );
}

const NAME_WIDTH_MAX = 24;
const DESCRIPTION_WIDTH_MAX = 40;
