import { InitialVersioningBehavior } from '@temporalio/common';
import {
  ActivityCancellationType,
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  ASK_UPDATE,
  type AskedQuestion,
  CONVERSATION_FULL,
  type FailedTurn,
} from '../services/domain/ask.js';
import { TURNS_MAX } from '../services/domain/conversation.js';
import {
  BUDGET_RAISED_SIGNAL,
  PROGRESS_QUERY,
  RAISE_BUDGET_UPDATE,
  type RunInput,
  type RunProgress,
} from '../services/domain/run.js';
import { boundedMap } from './bounded-map.js';
import { BUDGET_EXCEEDED, BudgetGate } from './budget-gate.js';
import type {
  AnsweredTurn,
  ChatbotActivities,
  OpenedConversation,
  PassagePlace,
} from './chatbot-activities.js';
import { parseChatbotParameters } from './chatbot-parameters.js';
import { hasType, isBudgetExceeded, turnFailed, turnRefused } from './turn-failure.js';

/** What one run of a conversation hands to the next. */
export interface ConversationInput extends RunInput {
  /** Absent: the conversation begins, or wakes. */
  readonly carried?: Carried;
}

interface Carried {
  readonly opened: OpenedConversation;
  readonly turnCount: number;
  /** Of the latest turns, oldest first. */
  readonly turnIds: readonly string[];
  readonly overBudget: boolean;
  readonly cost: string;
  readonly callCount: number;
}

export interface RestedConversation {
  readonly turnCount: number;
  readonly cost: string;
}

/**
 * Answers questions about a document, one turn after another, each an update. A question that cannot be answered is
 * refused before anything is spent. When it has been quiet for long the run completes; the next question starts it again,
 * and it goes on with the turns that the service keeps.
 */
export async function documentChatbot(input: ConversationInput): Promise<RestedConversation> {
  const parameters = parseChatbotParameters(input.parameters);
  const documentId = input.document?.documentId ?? '';
  const options = { ...BOUNDS, retry: retryPolicy(parameters.callAttempts) };
  const steps = proxyActivities<ChatbotActivities>(options);
  let { opened, turnCount, turnIds, overBudget, cost, callCount } = input.carried ?? NEW_CONVERSATION;
  const seen = new Set(turnIds);
  let phase = 'open';
  /** How often turns of this run came to nothing. */
  const failures = new Map<string, number>();
  let waiting = 0;
  let turnsInRun = 0;
  /** Raised by whatever keeps the conversation awake. */
  let stirs = 0;
  let closing = false;
  let last: Promise<unknown> = Promise.resolve();

  setHandler(defineQuery<RunProgress>(PROGRESS_QUERY), () => ({
    phase: overBudget ? 'paused: budget' : phase,
    completedSteps: turnCount,
    totalSteps: 0,
  }));
  setHandler(defineUpdate<AnsweredTurn, [AskedQuestion]>(ASK_UPDATE), ask, {
    validator: ({ turnId, question }) => {
      if (closing) throw turnRefused('closed');
      if (typeof question !== 'string' || question.trim() === '') throw turnRefused('empty');
      if (overBudget) throw turnRefused('over_budget');
      if (seen.has(turnId)) throw turnRefused('repeated');
      // Else those who come could keep it from ever handing on. One that rests takes a question before it does.
      if (waiting > 0 && shouldContinue()) throw turnRefused('moving');
      if (turnCount + waiting >= TURNS_MAX) throw turnRefused('full');
      if (waiting >= parameters.waitingTurnsMax) throw turnRefused('busy');
    },
  });
  /** How often it was raised: a raise that comes while a call is refused must not be forgotten. */
  let raises = 0;
  const budgetRaised = (): void => {
    stirs += 1;
    raises += 1;
    overBudget = false;
  };
  setHandler(defineUpdate<void, [unknown?]>(RAISE_BUDGET_UPDATE), budgetRaised);
  setHandler(defineSignal<[unknown?]>(BUDGET_RAISED_SIGNAL), budgetRaised);
  showCost();

  try {
    for (;;) {
      await condition(() => waiting === 0);
      if (shouldContinue()) break;
      const seenStirs = stirs;
      if (await condition(() => stirs !== seenStirs || shouldContinue(), parameters.idleTimeoutMs)) continue;
      await condition(allHandlersFinished);
      // A question that came in this very moment is answered first.
      if (stirs === seenStirs) return { turnCount, cost };
    }
    await condition(allHandlersFinished);
  } finally {
    closing = true;
    // Those who asked are told that it ends.
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  }
  // A run stays with the version of the worker that began it; the next one need not.
  const moving = {
    ...(isUpgrade() ? { initialVersioningBehavior: InitialVersioningBehavior.AUTO_UPGRADE } : {}),
  };
  return makeContinueAsNewFunc<typeof documentChatbot>(moving)({
    ...input,
    carried: { opened, turnCount, turnIds: [...seen].slice(-TURN_IDS_MAX), overBudget, cost, callCount },
  });

  /** Calls to the provider may have a task queue of their own. */
  function paidSteps(): typeof steps {
    const { providerTaskQueue } = opened;
    if (providerTaskQueue === undefined) return steps;
    return proxyActivities<ChatbotActivities>({ ...options, taskQueue: providerTaskQueue });
  }

  function shouldContinue(): boolean {
    const isFull = turnsInRun >= parameters.turnsPerRunMax || workflowInfo().continueAsNewSuggested;
    return isFull || (turnsInRun > 0 && isUpgrade());
  }

  function isUpgrade(): boolean {
    return workflowInfo().targetWorkerDeploymentVersionChanged;
  }

  async function ask(asked: AskedQuestion): Promise<AnsweredTurn> {
    waiting += 1;
    stirs += 1;
    seen.add(asked.turnId);
    const turn = last.then(() => answer(asked));
    last = turn.catch(() => undefined); // Thrown to its asker below; the next turn goes on.
    try {
      return await turn;
    } finally {
      waiting -= 1;
      stirs += 1;
    }
  }

  async function answer({ turnId, question }: AskedQuestion): Promise<AnsweredTurn> {
    const raisesBefore = raises;
    try {
      // The turn before may have spent the last of it.
      if (overBudget) throw budgetSpent();
      if (opened.documentBytes === 0) await open();
      // Of a conversation that wakes it is known only now.
      if (turnCount >= TURNS_MAX)
        throw ApplicationFailure.nonRetryable('The conversation is full.', CONVERSATION_FULL);
      await index();
      phase = 'answer';
      const passages = await retrieve(question);
      const number = turnCount + 1;
      const { answerTokensMax } = parameters;
      const answered = await paidSteps().answerTurn({
        documentId,
        turnId,
        number,
        question,
        passages,
        answerTokensMax,
        tries: failures.get(turnId) ?? 0,
      });
      turnCount = Math.max(turnCount, answered.number);
      turnsInRun += 1;
      return answered;
    } catch (error) {
      // A refusal for the budget pauses the conversation; any other failure is the turn's alone.
      if (isBudgetExceeded(error) && raises === raisesBefore) overBudget = true;
      throw turnFailed(error, noteFailure(turnId));
    } finally {
      phase = 'rest';
      await tellCost();
    }
  }

  /** The asker may ask a turn again that came to nothing. */
  function noteFailure(turnId: string): FailedTurn {
    seen.delete(turnId);
    const tries = (failures.get(turnId) ?? 0) + 1;
    failures.set(turnId, tries);
    return { tries, timeMs: Date.now() };
  }

  async function open(): Promise<void> {
    opened = await steps.openConversation({ documentId });
    turnCount = opened.turnCount;
    for (const turnId of opened.turnIds) seen.add(turnId);
  }

  /** Once for a document; parts that are kept from a try before cost nothing. */
  async function index(): Promise<void> {
    if (opened.indexed) return;
    phase = 'index';
    const { documentBytes, stretchCount } = opened;
    const stretches = Array.from({ length: stretchCount }, (_, at) => at);
    // Refused beside others it is made again when they have ended: what they hold may be more than they cost.
    const gate = new BudgetGate({
      onChange: () => (gate.isPaused && !gate.isStopped ? gate.stop() : undefined),
    });
    await boundedMap(stretches, INDEX_CALLS_MAX, async (at) => {
      const isMade = await gate.pass(async () => {
        await paidSteps().indexStretch({ documentId, documentBytes, index: at });
        return true;
      });
      if (isMade === undefined) throw budgetSpent();
    });
    await steps.sealIndex({ documentId });
    opened = { ...opened, indexed: true };
  }

  async function retrieve(question: string): Promise<readonly PassagePlace[]> {
    const { passageCount } = parameters;
    const { stretchCount } = opened;
    const input = { documentId, stretchCount, question, number: turnCount + 1, passageCount };
    try {
      return await paidSteps().retrievePassages(input);
    } catch (error) {
      if (!hasType(error, INDEX_LOST)) throw error;
      // What is kept has its time, and a conversation may be older.
      opened = { ...opened, indexed: false };
      await index();
      return paidSteps().retrievePassages(input);
    }
  }

  /** A figure for people, and for the next run; the turn is answered without it, too. */
  async function tellCost(): Promise<void> {
    try {
      ({ cost, callCount } = await steps.conversationCost());
    } catch {
      return; // Shown as it was; the books are the service's.
    }
    showCost();
  }

  function showCost(): void {
    setCurrentDetails(`**$${cost}** · ${callCount} calls · ${turnCount} turns`);
  }
}

function budgetSpent(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('The budget is spent.', BUDGET_EXCEEDED);
}

function retryPolicy(maximumAttempts: number) {
  return {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '30 seconds',
    maximumAttempts,
  } as const;
}

const BOUNDS = {
  startToCloseTimeout: '3 minutes',
  scheduleToCloseTimeout: '15 minutes',
  heartbeatTimeout: '10 seconds',
  // A cancelled call has to tell what it spent before the run ends.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} as const;
const NEW_CONVERSATION: Carried = {
  opened: { documentBytes: 0, stretchCount: 0, indexed: false, turnCount: 0, turnIds: [] },
  turnCount: 0,
  turnIds: [],
  overBudget: false,
  cost: '0',
  callCount: 0,
};
const INDEX_LOST = 'IndexLost';
const INDEX_CALLS_MAX = 4;
const TURN_IDS_MAX = 1_000;
