import { MongoClient } from 'mongodb';
import { inject } from 'vitest';

/** All that a service's database keeps of an application, as text. What Temporal has of it is not in the store. */
export async function storedDocuments(databaseName: string, application: string): Promise<string> {
  const mongo = await MongoClient.connect(inject('mongodbUri'));
  try {
    const db = mongo.db(databaseName);
    const collections = await db.listCollections({ name: { $not: /^system\./ } }).toArray();
    const texts: string[] = [];
    for (const each of collections.map((found) => found.name).sort()) {
      const own = { $or: [{ _id: application }, { '_id.a': application }, { a: application }] };
      const documents = await db
        .collection<{ _id: unknown }>(each)
        .find(own as object)
        .sort({ _id: 1 })
        .toArray();
      texts.push(`${each}: ${JSON.stringify(documents)}`);
    }
    return texts.join('\n');
  } finally {
    await mongo.close();
  }
}
