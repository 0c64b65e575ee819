import type { ExperienceType } from '../domain/experience-type.js';
import type { TypeDocument } from './documents.js';

export function fromTypeDocument(document: TypeDocument): ExperienceType {
  return {
    name: document._id.n,
    description: document.ds,
    currentVersion: document.v,
    workflowType: document.wf,
    taskQueue: document.tq,
    revision: document.r,
    createTime: document.c,
    updateTime: document.u,
    deleteTime: document.d,
  };
}
