import type { CallOptions } from './call-load.js';
import type { IdleOptions } from './idle-work.js';
import type { InsertOptions } from './insert-load.js';
import type { LoadResult } from './load-result.js';
import type { ReadOptions } from './read-load.js';
import type { RecordLoadOptions } from './record-load.js';

/** What the bench tells a load process to do, and hears of it. Bytes and arrays go over as they are. */
export type Work =
  | ({ readonly kind: 'record' } & RecordLoadOptions)
  | ({ readonly kind: 'insert' } & InsertOptions)
  | ({ readonly kind: 'idle' } & IdleOptions)
  | ({ readonly kind: 'read' } & ReadOptions)
  | ({ readonly kind: 'call' } & CallOptions);

export type ToLoadProcess = { readonly prepare: Work } | { readonly run: true };

export type FromLoadProcess =
  | { readonly ready: true }
  | { readonly prepared: true }
  | { readonly result: LoadResult; readonly cpuMs: number }
  | { readonly failure: string };
