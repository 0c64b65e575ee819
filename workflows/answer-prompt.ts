import type { ChatMessage } from './chat-stream.js';
import type { PassageText } from './passages.js';

/** A question that was answered before. */
export interface EarlierTurn {
  readonly question: string;
  readonly answer: string;
}

/** What the model is told: how to answer, what was said before (oldest first), the passages, and the question. */
export function answerPrompt(
  earlier: readonly EarlierTurn[],
  passages: readonly PassageText[],
  question: string,
): readonly ChatMessage[] {
  const context = passages.map(({ text }, index) => `[${index + 1}]\n${text}`).join('\n\n');
  return [
    { role: 'system', content: INSTRUCTIONS },
    ...earlier.flatMap((turn): ChatMessage[] => [
      { role: 'user', content: turn.question },
      { role: 'assistant', content: turn.answer },
    ]),
    { role: 'user', content: `Passages:\n\n${context}\n\nQuestion: ${question.replaceAll(/\s+/g, ' ')}` },
  ];
}

/** The passages that an answer names by number or takes a sentence from; if it does neither, all it was given. */
export function passagesUsed(answer: string, passages: readonly PassageText[]): readonly PassageText[] {
  const sentences = answer
    .split(/(?<=[.!?])\s+|["“”]/)
    .map(plain)
    .filter((sentence) => sentence.length >= SENTENCE_LENGTH_MIN);
  const used = passages.filter(({ text }, index) => {
    const passage = plain(text);
    return answer.includes(`[${index + 1}]`) || sentences.some((sentence) => passage.includes(sentence));
  });
  return used.length === 0 ? passages : used;
}

function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

const INSTRUCTIONS =
  'Answer the question from the numbered passages of a document. Quote the words that the answer rests on, and name the passage by its number, as in [1]. If the passages do not answer the question, say so.';
const SENTENCE_LENGTH_MIN = 20;
