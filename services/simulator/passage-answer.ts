import { contentWords } from './words.js';

/** Directions to the model share words with the question and answer nothing. */
const DIRECTION =
  /^(?:you (?:are|will|must|should)|your|answer|use|please|respond|reply|give|do not|don['’]t|if you|the following|given|based on|question|query|context|passages?|documents?|sources?)\b/i;

/**
 * The sentence that shares most words with the question; a word counts the more, the fewer sentences have it. Of equal
 * ones the first. Answers undefined when none shares a word.
 */
export function bestPassage(question: string, sentences: readonly string[]): string | undefined {
  const asked = new Set(contentWords(question));
  const passages = sentences
    .filter(
      (sentence) => !DIRECTION.test(sentence) && !question.includes(sentence) && !/[?？]$/.test(sentence),
    )
    .map((text) => ({ text, words: new Set(contentWords(text)) }));
  const occurrences = new Map<string, number>();
  for (const { words } of passages) {
    for (const word of words) if (asked.has(word)) occurrences.set(word, (occurrences.get(word) ?? 0) + 1);
  }
  let best: string | undefined;
  let bestScore = 0;
  for (const { text, words } of passages) {
    let score = 0;
    for (const word of words) {
      const sentencesWithIt = occurrences.get(word);
      if (sentencesWithIt !== undefined) score += Math.log(1 + passages.length / sentencesWithIt);
    }
    if (score > bestScore) {
      best = text;
      bestScore = score;
    }
  }
  return best;
}
