import { type LimitConfig, sameLimitConfig } from './limit.js';

/** A feature whose uses are measured. Its name is its identity in the application and never changes. */
export interface ExperienceType {
  readonly name: string;
  readonly description: string;
  readonly currentVersion: number;
  /** The Temporal workflow that runs it; undefined: it can be recorded, not started. */
  readonly workflowType: string | undefined;
  /** undefined: the service's default queue. */
  readonly taskQueue: string | undefined;
  /** The limit of its own that each new experience gets; undefined: none. */
  readonly limitConfig: LimitConfig | undefined;
  /** What callers said about keeping prompts and answers; without effect, because neither is kept of any type. */
  readonly loggingDisabled: boolean;
  /** Raised by every change; the etag is made of it. */
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly deleteTime: Date | undefined;
}

export interface ExperienceTypeVersion {
  readonly version: number;
  readonly createTime: Date;
}

/** What a caller says of a type. */
export interface ExperienceTypeContent {
  readonly description: string;
  readonly workflowType: string | undefined;
  readonly taskQueue: string | undefined;
  readonly limitConfig: LimitConfig | undefined;
  readonly loggingDisabled: boolean;
}

/**
 * The opaque text that stands for the revision of a type or a limit; quoted, as HTTP's entity tags are (RFC 9110,
 * section 8.8.3).
 */
export function etagOf({ revision }: Pick<ExperienceType, 'revision'>): string {
  return `"${revision}"`;
}

/** Versions are whole numbers from 1, raised only on request, each by one. */
export function hasVersion(type: ExperienceType, version: number): boolean {
  return version >= 1 && version <= type.currentVersion;
}

export function sameContent(a: ExperienceTypeContent, b: ExperienceTypeContent): boolean {
  return (
    a.description === b.description &&
    a.workflowType === b.workflowType &&
    a.taskQueue === b.taskQueue &&
    a.loggingDisabled === b.loggingDisabled &&
    (a.limitConfig === undefined || b.limitConfig === undefined
      ? a.limitConfig === b.limitConfig
      : sameLimitConfig(a.limitConfig, b.limitConfig))
  );
}
