import type { ExperienceType } from '../domain/experience-type.js';
import type { TypeDocument, TypeKey } from './documents.js';
import { fromLimitConfigFields } from './limit-document.js';

export function fromTypeDocument(document: TypeDocument): ExperienceType {
  return {
    name: document._id.n,
    description: document.ds,
    currentVersion: document.v,
    workflowType: document.wf,
    taskQueue: document.tq,
    limitConfig: document.lc === undefined ? undefined : fromLimitConfigFields(document.lc),
    loggingDisabled: document.ld ?? false,
    revision: document.r,
    createTime: document.c,
    updateTime: document.u,
    deleteTime: document.d,
  };
}

/**
 * The keys of an application's types, of names after `after` and before `before`: a range, because the index on whole keys
 * serves no filter on a part of them.
 */
export function typeKeysOf(
  application: string,
  { after = '', before }: { readonly after?: string; readonly before?: string } = {},
): { readonly $gt: TypeKey; readonly $lt: TypeKey } {
  const end = before === undefined ? { a: `${application}\u0000`, n: '' } : { a: application, n: before };
  return { $gt: { a: application, n: after }, $lt: end };
}
