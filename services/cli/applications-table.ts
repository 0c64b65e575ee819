import type { ApiKey, Application } from '../client/index.js';
import { factsText } from './facts-text.js';
import { timeText } from './number-text.js';
import { tableText } from './table.js';
import { visibleLine } from './visible-text.js';

export function applicationsTable(applications: readonly Application[]): string {
  return tableText(
    [
      { head: 'APPLICATION' },
      { head: 'CREATED', optional: true },
      { head: 'STRICT IDS', optional: true },
      { head: 'DESCRIPTION', optional: true },
    ],
    applications.map(({ applicationId, createTime, strictIds, description }) => [
      applicationId,
      createTime === undefined ? '' : timeText(createTime),
      strictIds ? 'yes' : '',
      visibleLine(description, DESCRIPTION_WIDTH_MAX),
    ]),
  );
}

export function applicationFacts(application: Application): string {
  return factsText([
    ['Application', application.applicationId],
    ['Description', application.description || undefined],
    ['Strict ids', application.strictIds ? 'yes: an experience id that is no UUID is refused' : undefined],
    ['Created', application.createTime && timeText(application.createTime)],
  ]);
}

export function keysTable(keys: readonly ApiKey[]): string {
  if (keys.length === 0)
    return 'There is no key yet: `experiences keys create --scopes admin` makes the first one.';
  return tableText(
    [
      { head: 'KEY' },
      { head: 'SCOPES' },
      { head: 'CREATED' },
      { head: 'REVOKED', optional: true },
      { head: 'DESCRIPTION', optional: true },
    ],
    keys.map(({ keyId, scopes, createTime, revokeTime, description }) => [
      keyId,
      scopesText(scopes),
      createTime === undefined ? '' : timeText(createTime),
      revokeTime === undefined ? '' : timeText(revokeTime),
      visibleLine(description, DESCRIPTION_WIDTH_MAX),
    ]),
  );
}

export function keyFacts(key: ApiKey): string {
  return factsText([
    ['Key', key.keyId],
    ['Application', key.applicationId],
    ['Scopes', scopesText(key.scopes)],
    ['Description', key.description || undefined],
    ['Created', key.createTime && timeText(key.createTime)],
    ['Revoked', key.revokeTime && timeText(key.revokeTime)],
  ]);
}

/** What admin implies goes without saying. */
function scopesText(scopes: ApiKey['scopes']): string {
  return scopes.includes('ADMIN') ? 'admin' : scopes.map((scope) => scope.toLowerCase()).join(', ');
}

const DESCRIPTION_WIDTH_MAX = 40;
