import type { ExperienceRun } from '../client/index.js';
import { factsText } from './facts-text.js';
import { moneyText, sumText } from './money-text.js';
import { countOf, durationText, timeText } from './number-text.js';

/** A run as it is now: its state, what it has cost, and what it ended with. */
export function runText(run: ExperienceRun): string {
  const { totals, startTime, endTime } = run;
  const facts = factsText([
    ['Experience', run.experienceId],
    ['Type', `${run.experienceType} v${run.experienceVersion}`],
    ['State', stateText(run)],
    ['Started', timeText(startTime)],
    [
      'Ended',
      endTime === undefined
        ? undefined
        : `${timeText(endTime)}, after ${durationText(endTime.getTime() - startTime.getTime())}`,
    ],
    ['Cost', sumText(totals)],
    ['Budget', budgetText(run)],
    ['Calls', callsText(run)],
    ['Workflow', `${run.workflowType} ${run.workflowId}`],
  ]);
  return run.state === 'COMPLETED' ? `${facts}\n\n${resultText(run.result)}` : facts;
}

/** One line for a run that goes on. `watchedMs` tells when a silence is no longer the time that a worker needs. */
export function runStatusText(run: ExperienceRun, watchedMs: number): string {
  const { eventCount } = run.totals;
  if (run.progress === undefined && eventCount === 0n && watchedMs > SILENCE_MS) {
    return 'running; no worker tells how far it is (`npm run worker` starts one)';
  }
  const spent = eventCount === 0n ? '' : `, ${countOf(eventCount, 'call')}, ${sumText(run.totals)}`;
  return `${stateText(run)}${spent}`;
}

/** How a run that did not complete ended, in one sentence. */
export function endingText({ experienceId, state, failure }: ExperienceRun): string {
  const why = failure === undefined ? '' : `: ${failure.type}: ${failure.message.replace(/\.$/, '')}`;
  return `The run of ${experienceId} ${ENDINGS[state]}${why}.`;
}

function stateText({ state, progress, failure }: ExperienceRun): string {
  const name = state.toLowerCase().replace('_', ' ');
  if (failure !== undefined) return `${name}: ${failure.type}: ${failure.message}`;
  if (progress === undefined) return name;
  const { phase, completedSteps, totalSteps } = progress;
  return totalSteps === 0
    ? `${name}: ${phase}`
    : `${name}: ${phase}, ${completedSteps} of ${totalSteps} steps`;
}

function budgetText({ budget }: ExperienceRun): string | undefined {
  if (budget === undefined) return undefined;
  const spent = `${moneyText(budget.spentCost)} of ${moneyText(budget.maxCost)} spent`;
  return budget.heldCost === '0' ? spent : `${spent}, ${moneyText(budget.heldCost)} held by calls under way`;
}

function callsText({ totals }: ExperienceRun): string {
  return totals.wastedCost === '0'
    ? String(totals.eventCount)
    : `${totals.eventCount}, of which ${moneyText(totals.wastedCost)} was wasted`;
}

/** Workflows may return anything: members of an object as facts, all else as text or JSON. */
function resultText(result: unknown): string {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) {
    return factsText([['Result', memberText(result)]]);
  }
  return factsText(Object.entries(result).map(([name, member]) => [name, memberText(member)] as const));
}

function memberText(member: unknown): string {
  return typeof member === 'string' ? member : JSON.stringify(member, undefined, 2);
}

const ENDINGS = {
  RUNNING: 'goes on',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'was cancelled',
  TERMINATED: 'was terminated',
  TIMED_OUT: 'timed out',
} as const satisfies Record<ExperienceRun['state'], string>;
const SILENCE_MS = 5_000;
