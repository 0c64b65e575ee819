import type { RecordedUsage } from '../client/index.js';
import { callCostText } from './call-cost-text.js';
import { factsText } from './facts-text.js';

/** A call that was just recorded. */
export function recordedText({ event }: RecordedUsage): string {
  return factsText([
    ['Event', event.eventId],
    ['Experience', event.experienceId ?? 'none: it is recorded unattributed'],
    [
      'Type',
      event.experienceType === undefined ? undefined : `${event.experienceType} v${event.experienceVersion}`,
    ],
    ['Cost', callCostText(event, event)],
    ['Price', event.priceId],
  ]);
}
