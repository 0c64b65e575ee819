import { type ConversationTurn, TURNS_MAX } from '../domain/conversation.js';
import { Fault, invalidFields } from '../domain/fault.js';
import type { Uuid } from '../domain/uuid.js';
import type { TurnDocument } from './state-documents.js';
import { fromBinary, type Store, toBinary } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, timeLeftMs } from './transaction.js';

/** Conversations: the turns of an experience, numbered without gaps. */
export class Turns {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The first turn under an id stays, and is answered. Without a number it gets the next one. */
  async append(
    application: string,
    experienceId: Uuid,
    turn: Omit<ConversationTurn, 'number'> & { readonly number: number | undefined },
    deadline: number,
  ): Promise<{ readonly turn: ConversationTurn; readonly alreadyExisted: boolean }> {
    const of = { '_id.a': application, '_id.x': toBinary(experienceId) };
    const _id: TurnDocument['_id'] = { a: application, x: toBinary(experienceId), t: toBinary(turn.id) };
    return inTransaction(this.#store, deadline, async (transaction) => {
      const existing = await this.#store.turns.findOne({ _id }, transaction);
      if (existing !== null) return { turn: fromDocument(existing), alreadyExisted: true };
      const last = await this.#store.turns.findOne(of, {
        ...transaction,
        sort: { n: -1 },
        projection: { n: 1 },
        hint: 'by_number',
      });
      const next = (last?.n ?? 0) + 1;
      if (turn.number !== undefined && turn.number !== next) {
        throw invalidFields([{ field: 'turn.number', description: `must be ${next}, the next one` }]);
      }
      if (next > TURNS_MAX) {
        throw new Fault('APPLICATION_FULL', `A conversation has at most ${TURNS_MAX} turns.`);
      }
      const document: TurnDocument = {
        _id,
        n: next,
        q: turn.question,
        an: turn.answer,
        ps: turn.passages.map(({ offset, length, text }) => ({ o: offset, l: length, t: text })),
        c: turn.createTime,
      };
      await this.#store.turns.insertOne(document, transaction);
      return { turn: fromDocument(document), alreadyExisted: false };
    });
  }

  /** By their numbers, after the one that is named. */
  async list(
    application: string,
    experienceId: Uuid,
    page: {
      readonly turnId: Uuid | undefined;
      readonly above: number;
      /** Of a descending list: only turns below this. */
      readonly below: number | undefined;
      readonly descending: boolean;
      readonly limit: number;
    },
    deadline: number,
  ): Promise<readonly ConversationTurn[]> {
    const n = { $gt: page.above, ...(page.below === undefined ? {} : { $lt: page.below }) };
    const x = toBinary(experienceId);
    const filter =
      page.turnId === undefined
        ? { '_id.a': application, '_id.x': x, n }
        : { _id: { a: application, x, t: toBinary(page.turnId) }, n };
    const documents = await withStoreFaults(() =>
      this.#store.turns
        .find(filter, {
          ...(page.turnId === undefined ? { sort: { n: page.descending ? -1 : 1 }, hint: 'by_number' } : {}),
          limit: page.limit,
          maxTimeMS: timeLeftMs(deadline),
        })
        .toArray(),
    );
    return documents.map(fromDocument);
  }
}

/** A year from its answer; the numbers of a conversation go on for as long as a turn of it is there. */
export const TURN_KEPT_MS = 365 * 86_400_000;

function fromDocument(document: TurnDocument): ConversationTurn {
  return {
    id: fromBinary(document._id.t),
    number: document.n,
    question: document.q,
    answer: document.an,
    passages: document.ps.map(({ o, l, t }) => ({ offset: Number(o), length: Number(l), text: t })),
    createTime: document.c,
  };
}
