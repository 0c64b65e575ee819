/**
 * What the service and the workflows of conversations agree on. Anyone's workflow can be one: it takes the update
 * {@link ASK_UPDATE}, keeps each turn by RunStateService.AppendTurn before it answers the update, refuses by
 * {@link TURN_REFUSED}, and completes when it has been quiet for long; the next question starts it again with the input
 * of the first.
 */
export const ASK_UPDATE = 'ask';

/** The argument of {@link ASK_UPDATE}; the turn's id is the update's id, too. */
export interface AskedQuestion {
  readonly turnId: string;
  readonly question: string;
}

/** Type of the failure by which a workflow refuses a question; its first detail is a {@link TurnRefusal}. */
export const TURN_REFUSED = 'TurnRefused';

/** Type of the failure of a turn's step when the conversation takes no more turns. */
export const CONVERSATION_FULL = 'ConversationFull';

export interface TurnRefusal {
  readonly why: TurnRefusedWhy;
  /** Of a turn that was begun and came to nothing; absent: it was refused before. */
  readonly failed?: FailedTurn;
}

/**
 * A turn that failed may be asked again under its id. Temporal would answer that from what it remembers of the update, so
 * the next try is another update: the turn's id, `/`, and `tries`.
 */
export interface FailedTurn {
  /** How often it has failed in this run. */
  readonly tries: number;
  /** When, in milliseconds since the epoch: an earlier failure is no answer to a question that is asked now. */
  readonly timeMs: number;
}

/**
 * - `closed`: the conversation is just ending; the next try may wake it.
 * - `moving`: the run is just handing on to the next, which takes the question.
 * - `empty`: there is no question.
 * - `over_budget`: what the conversation may spend is spent.
 * - `busy`: too many questions wait.
 * - `full`: the conversation has all the turns it may have, or those that wait will fill it.
 * - `repeated`: the turn was asked before.
 * - `failed`: it was begun and came to nothing, for a reason of its own.
 */
export type TurnRefusedWhy =
  | 'closed'
  | 'moving'
  | 'empty'
  | 'over_budget'
  | 'busy'
  | 'full'
  | 'repeated'
  | 'failed';

export const QUESTION_LENGTH_MAX = 16_384;

/** undefined for what is none: workflows may be anyone's. */
export function parseTurnRefusal(
  detail: unknown,
): { readonly why: string; readonly failed: FailedTurn | undefined } | undefined {
  if (typeof detail !== 'object' || detail === null) return undefined;
  const { why, failed } = detail as Record<string, unknown>;
  if (typeof why !== 'string' || !/^[a-z_]{1,64}$/.test(why)) return undefined;
  return { why, failed: parseFailedTurn(failed) };
}

function parseFailedTurn(value: unknown): FailedTurn | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { tries, timeMs } = value as Record<string, unknown>;
  return typeof tries === 'number' && typeof timeMs === 'number' ? { tries, timeMs } : undefined;
}
