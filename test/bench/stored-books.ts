import { MongoClient } from 'mongodb';
import { units18 } from '../support/added-up.js';

/** What a database holds, added up by the server in four ways that must agree. */
export interface StoredBooks {
  readonly events: Booked;
  readonly experiences: Booked;
  readonly rollupsOfHours: Booked;
  readonly rollupsOfDays: Booked;
}

interface Booked {
  readonly count: bigint;
  /** In whole numbers of 10^-18. */
  readonly cost: bigint;
}

export async function storedBooks(uri: string, databaseName: string): Promise<StoredBooks> {
  const client = new MongoClient(uri, { useBigInt64: true });
  try {
    const db = client.db(databaseName);
    const added = async (collection: string, match: object, count: unknown): Promise<Booked> => {
      const [row] = await db
        .collection(collection)
        .aggregate([
          { $match: match },
          { $group: { _id: null, n: { $sum: count }, cost: { $sum: { $add: ['$ci', '$co'] } } } },
        ])
        .toArray();
      return row === undefined ? { count: 0n, cost: 0n } : { count: BigInt(row.n), cost: units18(row.cost) };
    };
    return {
      events: await added('events', {}, 1),
      experiences: await added('experiences', {}, '$n'),
      rollupsOfHours: await added('rollups', { '_id.g': 'h' }, '$n'),
      rollupsOfDays: await added('rollups', { '_id.g': 'd' }, '$n'),
    };
  } finally {
    await client.close();
  }
}

/** In what the books differ from what was acknowledged; empty: in nothing. */
export function differences(books: StoredBooks, acknowledged: Booked): readonly string[] {
  return Object.entries(books).flatMap(([name, { count, cost }]) => [
    ...(count === acknowledged.count ? [] : [`${name}: ${count} events, acknowledged ${acknowledged.count}`]),
    ...(cost === acknowledged.cost
      ? []
      : [`${name}: cost ${cost}e-18, acknowledged ${acknowledged.cost}e-18`]),
  ]);
}
