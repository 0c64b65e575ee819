import { readFileSync } from 'node:fs';

/**
 * The clock of a process that is started with this module: the real one, but ahead by as many milliseconds as the file in
 * TEST_CLOCK_FILE says, which is read again at each SIGUSR2. Timers are not moved, as they are not by a real clock that is set.
 */
const RealDate = Date;
const realNow = Date.now;
let aheadMs = 0;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + aheadMs] : args, newTarget),
  apply: (target) => new target(target.now() + aheadMs).toString(),
  get: (target, key, receiver) =>
    key === 'now' ? () => realNow() + aheadMs : Reflect.get(target, key, receiver),
});

process.on('SIGUSR2', () => {
  aheadMs = Number(readFileSync(process.env.TEST_CLOCK_FILE ?? '', 'utf8'));
  process.stdout.write(`the clock is ahead by ${aheadMs} ms\n`);
});
