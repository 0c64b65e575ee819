import type { Uuid } from '../domain/uuid.js';

/** That an untyped experience takes a type. */
export interface Adoption {
  readonly application: string;
  readonly experienceId: Uuid;
  readonly type: string;
  readonly version: number;
}
