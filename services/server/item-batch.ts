import { Fault, invalidFields } from '../domain/fault.js';
import { ITEM_PARTS_MAX, type ItemList, isMarkedOverfull } from './overfull-item.js';

/**
 * The items of one list of a message, and what becomes of each. What is wrong with an item is its own result; the items
 * that are good are `waiting` until they are settled.
 */
export class ItemBatch<Item, Outcome> {
  readonly #list: ItemList;
  readonly #outcomes: (Outcome | Fault | undefined)[];
  #waiting: readonly { readonly index: number; readonly item: Item }[];

  constructor(list: ItemList, items: readonly (Item | Fault)[]) {
    this.#list = list;
    this.#outcomes = items.map((item) => (item instanceof Fault ? item : undefined));
    this.#waiting = items.flatMap((item, index) => (item instanceof Fault ? [] : [{ index, item }]));
  }

  /** The items without an outcome, in their order. */
  waiting(): readonly Item[] {
    return this.#waiting.map(({ item }) => item);
  }

  /** Takes the outcomes of all that wait, in their order; those of which `again` says so go on waiting. */
  settle(outcomes: readonly (Outcome | Fault)[], again: (fault: Fault) => boolean = () => false): void {
    this.#waiting = this.#waiting.filter(({ index }, position) => {
      const outcome = outcomes[position];
      if (outcome === undefined) throw new Error('every item has an outcome');
      if (outcome instanceof Fault && again(outcome)) return true;
      this.#outcomes[index] = outcome;
      return false;
    });
  }

  /** By the index of the item; a fault names the item by its path. */
  results(): readonly (Outcome | Fault)[] {
    return this.#outcomes.map((outcome, index) => {
      if (outcome === undefined) throw new Error('only what is settled is answered');
      return outcome instanceof Fault ? ofItem(outcome, this.#list, index) : outcome;
    });
  }
}

/** What a parser makes of each, or the fault it throws, which names fields as if there were one item: `record.model`. */
export function parsedItems<Wire extends object, Item>(
  list: ItemList,
  wires: readonly Wire[],
  parse: (wire: Wire) => Item,
): readonly (Item | Fault)[] {
  return wires.map((wire) => {
    try {
      if (isMarkedOverfull(wire)) {
        throw invalidFields([{ field: NOUN_OF[list], description: `has more than ${ITEM_PARTS_MAX} parts` }]);
      }
      return parse(wire);
    } catch (error) {
      if (error instanceof Fault) return error;
      throw error;
    }
  });
}

/** Whether a fault tells nothing about the item that it befell: the same item may be written a little later. */
export function isPassing({ kind, reason }: Fault): boolean {
  return kind === 'UNAVAILABLE' || kind === 'DEADLINE_EXCEEDED' || reason === 'OVERLOADED';
}

/** Checks and ledger know the one item; who sent many is told which of them. */
function ofItem(fault: Fault, list: ItemList, index: number): Fault {
  if (fault.violations.length === 0) return fault;
  const noun = NOUN_OF[list];
  const violations = fault.violations.map(({ field, description }) => {
    const isOfItem = field === noun || field.startsWith(`${noun}.`);
    return { field: isOfItem ? `${list}[${index}]${field.slice(noun.length)}` : field, description };
  });
  if (fault.reason === 'INVALID_FIELDS') return invalidFields(violations);
  const { reason, message, metadata } = fault;
  return new Fault(reason, message, { metadata, violations });
}

const NOUN_OF = {
  records: 'record',
  reservations: 'reservation',
  releases: 'release',
} as const satisfies Record<ItemList, string>;
