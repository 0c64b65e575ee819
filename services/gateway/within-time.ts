/** Resolves when the work has, or when its time is over (`late`), whichever comes first. What the work rejects with, it rejects with. */
export async function withinTime(work: Promise<unknown>, timeMaxMs: number): Promise<'done' | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, timeMaxMs, 'late');
  });
  try {
    return await Promise.race([work.then(() => 'done' as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
