/** What the data says that the catalogue cannot, or says otherwise. */
export interface SeedNote {
  readonly topic: SeedTopic;
  /** `provider:model` */
  readonly subject: string;
  readonly text: string;
}

export type SeedTopic = keyof typeof SEED_TOPICS;

export const SEED_TOPICS = {
  NO_PRICE: 'models without any price in the data: not imported, so their use stays unpriced',
  FREE_BY_NAME: 'models without any price in the data that are free by their name: imported at 0',
  TIME_OF_DAY: 'prices that hold in a window of the day (UTC): not imported, the dated price applies all day',
  MINIMUM_BILLED:
    'models billed for a least duration: imported without it, short requests come out too cheap',
  ROUNDED: 'prices without an exact form per unit: rounded once, to 10^-18',
  KEY_UNKNOWN: 'kinds of prices for which there is no unit kind: not imported',
  KEY_CONFLICT: 'prices that contradict another of the same unit kind: not imported',
} as const;
