import type { Uuid } from './uuid.js';

/** A question of a conversation and its answer. */
export interface ConversationTurn {
  readonly id: Uuid;
  /** From 1, without gaps. */
  readonly number: number;
  readonly question: string;
  readonly answer: string;
  /** What the answer rests on. */
  readonly passages: readonly Passage[];
  readonly createTime: Date;
}

/** A part of a document; offset and length in bytes. */
export interface Passage {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/** Of one conversation. */
export const TURNS_MAX = 10_000;
