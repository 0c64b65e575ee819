/**
 * A value as the document that `--json` prints: the client's own members; money as decimal strings, times in ISO 8601,
 * what is absent left out. Counts are numbers as long as a number holds them exactly, else strings.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, member: unknown) => (typeof member === 'bigint' ? exact(member) : member),
    2,
  );
}

function exact(count: bigint): number | string {
  const number = Number(count);
  return Number.isSafeInteger(number) ? number : String(count);
}
