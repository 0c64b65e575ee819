/** What is known of a document that the service keeps. */
export interface StoredDocument {
  readonly documentId: string;
  readonly name: string | undefined;
  /** From the start without a gap so far; of a committed document: its size. */
  readonly sizeBytes: number;
  /** Whether it is complete and never changes again. */
  readonly committed: boolean;
  /** Lower-case hex; undefined until it is committed. */
  readonly sha256: string | undefined;
  /** Offsets of appends are multiples of this. */
  readonly partSizeBytes: number;
  readonly createTime: Date;
  /** When it is deleted by itself. */
  readonly expireTime: Date;
}

export interface DocumentUpload {
  /** For people. */
  readonly name?: string;
  /** A UUID of your own, under which a later upload of the same content goes on. Absent: one is made. */
  readonly documentId?: string;
  /** From the creation on; absent: 30 days. */
  readonly retentionMs?: number;
}

/** In bytes; absent: from the start, to the end. */
export interface DocumentRange {
  readonly offset?: number;
  readonly length?: number;
}
