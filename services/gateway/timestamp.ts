/**
 * A time as clients write it: ISO 8601, also without an offset, because Python's datetimes have none; then it is UTC. Kept to
 * the millisecond. Undefined: it is no such time.
 */
export function parseTimestamp(text: string): Date | undefined {
  const [, date = '', clock = '00:00:00', offset = 'Z'] = TIMESTAMP.exec(text) ?? [];
  if (date === '') return undefined;
  const day = new Date(`${date}T00:00:00Z`);
  // The 30th of February would count as the 2nd of March.
  if (Number.isNaN(day.getTime()) || !day.toISOString().startsWith(date)) return undefined;
  const time = new Date(`${date}T${clock}${offsetText(offset)}`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function offsetText(offset: string): string {
  if (/^z$/i.test(offset)) return 'Z';
  const digits = offset.slice(1).replace(':', '').padEnd(4, '0');
  return `${offset[0]}${digits.slice(0, 2)}:${digits.slice(2)}`;
}

const TIMESTAMP =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;
