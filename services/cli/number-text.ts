/** Counts and durations as people read them. Money has a file of its own: it is never rounded. */

export function countText(count: bigint | number): string {
  return GROUPED.format(count);
}

/** `1 call`, `2 calls`. */
export function countOf(count: bigint | number, noun: string): string {
  return `${countText(count)} ${noun}${BigInt(count) === 1n ? '' : 's'}`;
}

export function durationText(milliseconds: number): string {
  if (milliseconds < 1_000) return `${milliseconds} ms`;
  const seconds = milliseconds / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${countText(Math.floor(whole / 60))} min ${whole % 60} s`;
}

/** To the second, in UTC. */
export function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

const GROUPED = new Intl.NumberFormat('en-US');
