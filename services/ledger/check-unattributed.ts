import type { Filter } from 'mongodb';
import { type FlagFinding, later, OperationCheck } from './check-operations.js';
import { eventsOfHour } from './check-rollups.js';
import type { CheckScope } from './check-scope.js';
import { type CheckedEvent, checkedFields, toCheckedEvent } from './checked-event.js';
import type { EventDocument } from './documents.js';
import { operationHash } from './operation-hash.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** The marks of the events of an hour that belong to no experience. */
export interface UnattributedPage {
  readonly events: number;
  readonly flags: readonly FlagFinding[];
  /**
   * The latest success of each operation that has no useful event in this hour and none in the index: an event of another
   * hour may be useful and missing in the index, so these are asked again when all hours are through.
   */
  readonly undecided: ReadonlyMap<string, CheckedEvent>;
}

export async function checkUnattributedHour(
  store: Store,
  scope: CheckScope,
  startMs: number,
  snapshot: Snapshot,
): Promise<UnattributedPage> {
  const single = new OperationCheck(undefined);
  const ofHour = new Map<string, CheckedEvent[]>();
  let events = 0;
  const unattributed = { x: { $exists: false } } as Filter<EventDocument>;
  for await (const document of eventsOfHour(store, scope, startMs, snapshot, unattributed)) {
    events += 1;
    const event = toCheckedEvent(document);
    if (document.op === undefined || document.oc !== 'SUCCEEDED') single.add(event);
    else ofHour.set(document.op, [...(ofHour.get(document.op) ?? []), event]);
  }
  const marked = await usefulOf(store, scope, [...ofHour.keys()], snapshot);
  const flags = [...single.findings()];
  const undecided = new Map<string, CheckedEvent>();
  for (const [operation, own] of ofHour) {
    const all = new Map([...own, ...(marked.get(operation) ?? [])].map((event) => [event.id, event]));
    const events = [...all.values()];
    if (events.some(({ useful }) => useful)) {
      const check = new OperationCheck(undefined);
      for (const event of events) check.add(event);
      flags.push(...check.findings());
    } else undecided.set(operation, events.reduce(later));
  }
  return { events, flags, undecided };
}

/** Those of the undecided whose operation still has no useful event. */
export async function checkUndecided(
  store: Store,
  scope: CheckScope,
  undecided: ReadonlyMap<string, CheckedEvent>,
  snapshot: Snapshot,
): Promise<readonly FlagFinding[]> {
  const marked = await usefulOf(store, scope, [...undecided.keys()], snapshot);
  const still = [...undecided].filter(([operation]) => !marked.has(operation));
  const keys = still.map(([, { key }]) => key);
  const documents = await store.events
    .find({ _id: { $in: keys } }, { ...snapshot, projection: checkedFields(true) })
    .toArray();
  return documents.flatMap((document) => {
    const check = new OperationCheck(undefined);
    check.add(toCheckedEvent(document));
    return check.findings();
  });
}

async function usefulOf(
  store: Store,
  { application }: CheckScope,
  operations: readonly string[],
  snapshot: Snapshot,
): Promise<ReadonlyMap<string, readonly CheckedEvent[]>> {
  const found = new Map<string, CheckedEvent[]>();
  for (let start = 0; start < operations.length; start += BATCH_OPERATIONS) {
    const wanted = operations.slice(start, start + BATCH_OPERATIONS);
    const hashes = wanted.map((operationKey) => operationHash({ experienceId: undefined, operationKey }));
    const cursor = store.events.find(
      { '_id.a': application, uo: { $in: hashes } },
      { ...snapshot, projection: checkedFields(true), hint: 'by_useful_operation' },
    );
    for await (const document of cursor) {
      if (document.op === undefined || document.x !== undefined || document.us !== true) continue;
      found.set(document.op, [...(found.get(document.op) ?? []), toCheckedEvent(document)]);
    }
  }
  return found;
}

const BATCH_OPERATIONS = 1_000;
