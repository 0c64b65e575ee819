/** How much the gateway suite does. */
export interface GatewaySizes {
  /** Each has a leg of every side, in an order that changes. */
  readonly rounds: number;
  readonly legSeconds: number;
  readonly warmUpSeconds: number;
}

export const FULL: GatewaySizes = { rounds: 7, legSeconds: 2, warmUpSeconds: 3 };

/** Under a minute in all, on a machine that does nothing else. */
export const QUICK: GatewaySizes = { rounds: 3, legSeconds: 0.8, warmUpSeconds: 1 };

/** Whole answers at so many in flight, and streams. */
export const CALL_SHAPES = [
  { name: 'whole1', title: 'whole answers, 1 in flight', isStream: false, inFlight: 1 },
  { name: 'whole8', title: 'whole answers, 8 in flight', isStream: false, inFlight: 8 },
  { name: 'whole32', title: 'whole answers, 32 in flight', isStream: false, inFlight: 32 },
  { name: 'stream16', title: 'streams of 20 chunks, 16 in flight', isStream: true, inFlight: 16 },
] as const;

export type CallShape = (typeof CALL_SHAPES)[number];
export type ShapeName = CallShape['name'];

/** Whom the load calls: the provider itself, a proxy that only passes on, or the gateway. */
export const SIDES = ['direct', 'passThrough', 'gateway'] as const;
export type Side = (typeof SIDES)[number];
