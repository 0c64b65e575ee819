import type { ExperienceDocument } from './documents.js';

/** What is checked. */
export interface CheckScope {
  readonly application: string;
  /** Only experiences, rollups and histograms of this type; undefined: of all and of none. */
  readonly type: string | undefined;
  /** Only experiences created, and days that ended, after it. Histograms are always checked whole. */
  readonly since: Date | undefined;
  /** Events and reservations one by one too: marks, costs, states. */
  readonly deep: boolean;
}

/** Whether it is everything: only then what belongs to no one experience, type or day is looked at. */
export function isWholeScope({ type, since }: CheckScope): boolean {
  return type === undefined && since === undefined;
}

/** How far a check is. Totals are estimates, for all applications together; 0: not known. */
export interface CheckProgress {
  phase: 'RESERVATIONS' | 'OPERATIONS' | 'EXPERIENCES' | 'ROLLUPS' | 'HISTOGRAMS' | 'LIMITS';
  experiences: number;
  experiencesTotal: number;
  /** Events read; each is read for its experience, for its hour and for the limits that it is charged to. */
  events: number;
  eventsTotal: number;
  hours: number;
  days: number;
  histograms: number;
  limits: number;
  /** Looked at one by one. */
  reservations: number;
  /** Figures that are not what they must be. */
  differences: number;
  repaired: number;
  notRepairable: number;
}

export function newProgress(): CheckProgress {
  return {
    phase: 'EXPERIENCES',
    experiences: 0,
    experiencesTotal: 0,
    events: 0,
    eventsTotal: 0,
    hours: 0,
    days: 0,
    histograms: 0,
    limits: 0,
    reservations: 0,
    differences: 0,
    repaired: 0,
    notRepairable: 0,
  };
}

/** The place of a document in the order that a scope is read in. */
export type ExperiencePosition = Pick<ExperienceDocument, '_id' | 'c'>;
