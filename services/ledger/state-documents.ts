import type { Binary } from 'mongodb';

/** How documents and the states of runs are stored; the rest is in documents.ts. Field names are short, keys in order. */

export interface StoredDocumentDocument {
  _id: { a: string /** Document id. */; d: Binary };
  /** Name. */
  n?: string;
  /** Created. */
  c: Date;
  /** Kept until. */
  u: Date;
  /** Bytes of all parts together; of a committed one its size. */
  z: number;
  /** Bytes of each part by its number, which tell where there is a gap. */
  p: Record<string, number>;
  /** Raised by every append, so that a commit knows that what it has read is still what is there. */
  r: number;
  /** Committed. */
  k?: true;
  /** SHA-256 in hex; only of a committed one. */
  h?: string;
}

export interface PartDocument {
  _id: { a: string; d: Binary /** Number, from 0. */; n: number };
  /** Bytes. */
  b: Binary;
  /** Kept until, as its document. */
  u: Date;
}

/** The result of a finished step. */
export interface AnswerDocument {
  _id: { a: string; x: Binary /** SHA-256 of the operation key. */; o: Binary };
  /** Bytes. */
  b: Binary;
  /** Kept until. */
  u: Date;
}

export interface TurnDocument {
  _id: { a: string; x: Binary /** Turn id. */; t: Binary };
  /** Number. */
  n: number;
  /** Question. */
  q: string;
  /** Answer. */
  an: string;
  /** Passages: offset, length, text. */
  ps: { o: number; l: number; t: string }[];
  /** Created; kept for a year from then. */
  c: Date;
}

export interface RunOutputDocument {
  _id: {
    a: string;
    x: Binary /** Output key. */;
    k: string /** Attempt. */;
    at: number /** Sequence. */;
    s: number;
  };
  /** Text. */
  tx: string;
  /** Final. */
  f?: true;
  /** Created. */
  c: Date;
}
