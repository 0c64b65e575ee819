/** A canonical decimal string in USD, exact. */
export type Money = string;
