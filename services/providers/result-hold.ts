import type { StreamEvent, StreamStep } from './provider-contract.js';

/**
 * Holds back the newest event that can carry the result, until it is known whether it is the last one. Events behind it
 * wait with it, so that their order stays; if more wait than may, all go on, and the next one that can is held.
 */
export class ResultHold {
  #held: StreamEvent | undefined;
  #followers: StreamEvent[] = [];
  #followerCharacters = 0;
  #isGiven = false;

  /** An event that can carry the result, if it turns out to be the last such one. */
  hold(event: StreamEvent): StreamStep {
    const forward = this.#takeAll();
    if (this.#isGiven) return { forward: [...forward, event] };
    this.#held = event;
    return { forward };
  }

  /** An event that cannot carry the result, and keeps its place. */
  pass(event: StreamEvent): StreamStep {
    if (this.#held === undefined) return { forward: [event] };
    this.#followers.push(event);
    this.#followerCharacters += event.data.length;
    const isFull =
      this.#followers.length >= FOLLOWERS_MAX || this.#followerCharacters >= FOLLOWER_CHARACTERS_MAX;
    return { forward: isFull ? this.#takeAll() : [] };
  }

  /** The event that carries the result. */
  carry(event: StreamEvent): StreamStep {
    const forward = this.#takeAll();
    if (this.#isGiven) return { forward: [...forward, event] };
    this.#isGiven = true;
    return { forward, result: event, afterResult: [] };
  }

  /** Nothing that could carry the result comes any more: the held event does. `event`: what said so, if it is sent on. */
  settle(event?: StreamEvent): StreamStep {
    const [carrier, ...behind] = this.#takeAll();
    const last = event === undefined ? [] : [event];
    if (carrier === undefined) return this.#settleWithout(last);
    this.#isGiven = true; // Nothing is held once it is given, so it was not.
    return { forward: [], result: carrier, afterResult: [...behind, ...last] };
  }

  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  #settleWithout(last: readonly StreamEvent[]): StreamStep {
    if (this.#isGiven || last.length === 0) return { forward: last };
    this.#isGiven = true;
    return { forward: [], afterResult: last };
  }

  #takeAll(): readonly StreamEvent[] {
    const all = this.#held === undefined ? [] : [this.#held, ...this.#followers];
    this.#held = undefined;
    this.#followers = [];
    this.#followerCharacters = 0;
    return all;
  }
}

const FOLLOWERS_MAX = 64;
const FOLLOWER_CHARACTERS_MAX = 64 * 1024;
