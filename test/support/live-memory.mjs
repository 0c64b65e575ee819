/** A process that is started with this module and `--expose-gc` says at each SIGUSR2 how many bytes it really holds. */
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  // What the first collection has let go of is taken back by the second.
  setImmediate(() => {
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    process.stdout.write(`live memory: ${heapUsed + arrayBuffers} bytes\n`);
  });
});
