/** Resolves when the work has, or when its time is over, whichever comes first. What the work rejects with, it rejects with. */
export async function withinTime(work: Promise<unknown>, timeMaxMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMaxMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
