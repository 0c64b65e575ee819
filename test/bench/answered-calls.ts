import { type Binary, MongoClient, UUID } from 'mongodb';
import { GATEWAY_DATABASE, type GatewayStack } from './gateway-stack.js';
import type { LoadResult } from './load-result.js';
import { serviceVerify } from './service-verify.js';
import { differences, storedBooks } from './stored-books.js';

/** Whether each answered call is in the ledger once, at its exact cost, and nothing else is. */
export interface GatewayBooks {
  readonly balanced: boolean;
  readonly answers: number;
  /** Decimal, in whole numbers of 10^-18. */
  readonly costE18: string;
  /** Answers whose record went by the outbox. */
  readonly queued: number;
  readonly openReservations: number;
  readonly differences: readonly string[];
}

/** What the gateway has answered, to be found in the books of the service behind it. */
export class AnsweredCalls {
  readonly #requestIds = new Set<string>();
  #answers = 0;
  #cost = BigInt(0);
  #queued = 0;

  add({ freshCost, calls }: LoadResult): void {
    if (calls === undefined) return;
    this.#answers += calls.requestIds.length;
    for (const id of calls.requestIds) this.#requestIds.add(id);
    this.#cost += freshCost;
    this.#queued += calls.queued;
  }

  async compare({ mongod, service }: Pick<GatewayStack, 'mongod' | 'service'>): Promise<GatewayBooks> {
    const acknowledged = { count: BigInt(this.#answers), cost: this.#cost };
    const found = [...differences(await storedBooks(mongod.uri, GATEWAY_DATABASE), acknowledged)];
    if (this.#requestIds.size !== this.#answers)
      found.push(`${this.#answers} answers have ${this.#requestIds.size} request ids`);
    const { missing, openReservations } = await this.#lookUp(mongod.uri);
    if (missing > 0) found.push(`${missing} answered calls are not in the ledger`);
    if (openReservations > 0) found.push(`${openReservations} reservations are open`);
    const bySelf = await serviceVerify(service.address);
    if ((bySelf?.differences ?? 0) > 0) found.push(`verify found ${bySelf?.differences} differences`);
    return {
      balanced: found.length === 0,
      answers: this.#answers,
      costE18: String(this.#cost),
      queued: this.#queued,
      openReservations,
      differences: found,
    };
  }

  async #lookUp(uri: string): Promise<{ readonly missing: number; readonly openReservations: number }> {
    const client = new MongoClient(uri);
    try {
      const db = client.db(GATEWAY_DATABASE);
      const missing = new Set(this.#requestIds);
      const events = db.collection<{ readonly _id: { readonly e: Binary } }>('events');
      for await (const { _id } of events.find({}, { projection: { _id: 1 } }))
        missing.delete(new UUID(_id.e.buffer).toString());
      const openReservations = await db.collection('reservations').countDocuments(OPEN);
      return { missing: missing.size, openReservations };
    } finally {
      await client.close();
    }
  }
}

/** As services/ledger/reservation-document.ts writes it. */
const OPEN = { s: 'o' };
