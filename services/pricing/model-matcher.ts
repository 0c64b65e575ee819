/** A rule over a model's name in lower case; the texts are lower-case too. */
export type ModelMatcher =
  | { readonly equals: string }
  | { readonly startsWith: string }
  | { readonly endsWith: string }
  | { readonly contains: string }
  | { readonly regex: string }
  | { readonly or: readonly ModelMatcher[] }
  | { readonly and: readonly ModelMatcher[] };

/** Whether a model's name, in lower case, is meant. */
export type ModelTest = (model: string) => boolean;

/** One test for a list of which any suffices. Regular expressions are compiled here, once; an unsafe one throws. */
export function compileMatchers(matchers: readonly ModelMatcher[]): ModelTest {
  const tests = matchers.map(compileMatcher);
  return (model) => tests.some((test) => test(model));
}

function compileMatcher(matcher: ModelMatcher): ModelTest {
  if ('equals' in matcher) return (model) => model === matcher.equals;
  if ('startsWith' in matcher) return (model) => model.startsWith(matcher.startsWith);
  if ('endsWith' in matcher) return (model) => model.endsWith(matcher.endsWith);
  if ('contains' in matcher) return (model) => model.includes(matcher.contains);
  if ('regex' in matcher) return compileRegex(matcher.regex);
  if ('or' in matcher) return compileMatchers(matcher.or);
  if ('and' in matcher) {
    const tests = matcher.and.map(compileMatcher);
    return (model) => tests.every((test) => test(model));
  }
  return matcher satisfies never;
}

function compileRegex(source: string): ModelTest {
  if (!isSafeRegex(source)) throw new RangeError(`the expression ${source} could be slow`);
  const regex = new RegExp(source);
  return (model) => regex.test(model);
}

const REGEX_LENGTH_MAX = 128;
const ALTERNATIVES_MAX = 4;
const ESCAPE = /\\./g;
const CHARACTER_CLASS = /\[[^\]]*\]/g;
const GROUP_START = /\(\?(?::|=|!|<=|<!)/g;
const EXACT_REPETITION = /\{\d{1,2}\}/g;
const BACK_REFERENCE = /\\[1-9k]/;

/**
 * Whether matching a name takes at most time in the square of its length, whatever the name: one unbounded repetition
 * of a single character at most, no optional part, no range, nothing repeated that is itself a group, no reference
 * back. A callers' name meets these expressions, so one that cannot be judged this simply is refused.
 */
export function isSafeRegex(source: string): boolean {
  if (source.length > REGEX_LENGTH_MAX || BACK_REFERENCE.test(source)) return false;
  const shape = source.replaceAll(ESCAPE, 'x').replaceAll(CHARACTER_CLASS, 'x').replaceAll(GROUP_START, '(');
  if (/\)[*+?{]/.test(shape)) return false;
  const plain = shape.replaceAll(EXACT_REPETITION, '');
  if (/[?{}]/.test(plain)) return false;
  return count(plain, /[*+]/g) <= 1 && count(plain, /\|/g) <= ALTERNATIVES_MAX;
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
