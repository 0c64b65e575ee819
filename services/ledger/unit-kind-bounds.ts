import type { Experience } from '../domain/experience.js';
import { invalidFields } from '../domain/fault.js';
import type { Units } from '../domain/units.js';
import { factKey } from './fact-key.js';
import type { Facts } from './facts.js';

/**
 * Totals by kind live in one document, and a rollup may hold all the kinds of an application, so callers cannot be let
 * to make up kinds without end. What is refused leaves nothing behind.
 */
export class UnitKindBounds {
  readonly #facts: Pick<Facts, 'unitKinds'>;
  /** That this batch adds to experiences. */
  readonly #ofExperiences = new Map<string, ReadonlySet<string>>();
  /** That this batch is the first of its application to use. */
  readonly added = new Map<string, ReadonlySet<string>>();

  constructor(facts: Pick<Facts, 'unitKinds'>) {
    this.#facts = facts;
  }

  add(application: string, experience: Experience | undefined, units: Units, field: string): void {
    const known = this.#facts.unitKinds.get(application) ?? NO_KINDS;
    const ofApplication = withKinds(units, known, this.added.get(application), {
      max: APPLICATION_UNIT_KINDS_MAX,
      field,
      problem: `names kinds that the application has not used; it may use ${APPLICATION_UNIT_KINDS_MAX}`,
    });
    if (experience !== undefined) {
      const key = factKey(application, experience.id);
      const ofExperience = withKinds(units, experience.totals.units, this.#ofExperiences.get(key), {
        max: EXPERIENCE_UNIT_KINDS_MAX,
        field,
        problem: `names kinds that the experience has not; it may have ${EXPERIENCE_UNIT_KINDS_MAX}`,
      });
      if (ofExperience !== undefined) this.#ofExperiences.set(key, ofExperience);
    }
    if (ofApplication !== undefined) this.added.set(application, ofApplication);
  }
}

/** What was added so far with those of the units that are not known; undefined: the units add none. */
function withKinds(
  units: Units,
  known: { readonly size: number; has(kind: string): boolean },
  added: ReadonlySet<string> | undefined,
  bound: { readonly max: number; readonly field: string; readonly problem: string },
): ReadonlySet<string> | undefined {
  const fresh = [...units.keys()].filter((kind) => !known.has(kind));
  if (fresh.length === 0) return undefined;
  const all = new Set([...(added ?? []), ...fresh]);
  if (known.size + all.size <= bound.max) return all;
  throw invalidFields([{ field: bound.field, description: bound.problem }]);
}

const NO_KINDS: ReadonlySet<string> = new Set();
const EXPERIENCE_UNIT_KINDS_MAX = 256;
const APPLICATION_UNIT_KINDS_MAX = 1_024;
