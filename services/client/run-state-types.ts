/** A part of a document that an answer rests on; offset and length in bytes. */
export interface Passage {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/** A turn to append: a question and its answer. */
export interface NewConversationTurn {
  /** The asker's UUID of the turn. */
  readonly turnId: string;
  /** Must be the next one, from 1. Absent: the service takes the next one. */
  readonly number?: number;
  readonly question: string;
  readonly answer: string;
  readonly passages?: readonly Passage[];
}

export interface ConversationTurn extends Required<NewConversationTurn> {
  readonly createTime: Date;
}

/** Text that a step is just writing. */
export interface RunOutput {
  /** What it belongs to: of a conversation the turn's id. */
  readonly outputKey: string;
  /** From 1; a higher one begins anew, and what a lower one wrote is void. */
  readonly attempt: number;
  /** Within the attempt, from 1, without gaps. */
  readonly sequence: number;
  /** The text that is new. */
  readonly text: string;
  /** Whether the attempt has written all. */
  readonly final: boolean;
}
