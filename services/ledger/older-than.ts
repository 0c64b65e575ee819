/**
 * The part of a filter for what is listed, newest first, behind a position: created before it or, at the same time, with a
 * smaller key.
 */
export function olderThan<Key>(createTime: Date, key: Key): OlderThan<Key> {
  return {
    c: { $lte: createTime },
    $or: [{ c: { $lt: createTime } }, { c: createTime, _id: { $lt: key } }],
  };
}

interface OlderThan<Key> {
  readonly c: { readonly $lte: Date };
  readonly $or: [
    { readonly c: { readonly $lt: Date } },
    { readonly c: Date; readonly _id: { readonly $lt: Key } },
  ];
}

/** The same of what is listed oldest first. */
export function newerThan<Key>(createTime: Date, key: Key): NewerThan<Key> {
  return {
    c: { $gte: createTime },
    $or: [{ c: { $gt: createTime } }, { c: createTime, _id: { $gt: key } }],
  };
}

interface NewerThan<Key> {
  readonly c: { readonly $gte: Date };
  readonly $or: [
    { readonly c: { readonly $gt: Date } },
    { readonly c: Date; readonly _id: { readonly $gt: Key } },
  ];
}
