import { isWholeSentence } from './sentences.js';
import { contentWords, countWords } from './words.js';

/** A summary never has more words, however long the text. */
export const SUMMARY_WORDS_MAX = 120;

/** How much of a text its summary may be; one sentence is always given. */
const SUMMARY_SHARE = 0.18;

/** Sentences of a text are compared as long as they are this many; of a longer text the first ones. */
const SENTENCES_MAX = 5_000;

/** A text says early what it is about: a sentence counts from this much at the start evenly down to 1 at the end … */
const EARLY_WEIGHT = 1.5;
/** … and the very first one this many times more. */
const FIRST_WEIGHT = 1.5;

/** Paragraphs, or summaries that are to be combined, should all have their say. */
const SAME_PARAGRAPH_WEIGHT = 0.5;

/** Points at something that will not be there, or asks. */
const DANGLING =
  /^["'“‘(]?(?:this|that|these|those|it|they|he|she|such|however|but|and|or|also|so|then|therefore|thus|hence|moreover|furthermore|otherwise|instead|similarly|conversely|additionally|for example|for instance|in addition|in this|in that|see|note|nb|alternatively|for (?:more )?information|if so|to do (?:this|so))\b|\b(?:following|below|above)\b|\?$/i;
const DANGLING_WEIGHT = 0.3;

/** Below this many content words the mean over them would favour short sentences. */
const CONTENT_WORDS_FULL = 10;

/** What a word still counts once it is in the summary. */
const REPEATED_WEIGHT = 0.3;

/**
 * The sentences that say most of what a text is about, in the order of the text. Each pick takes the sentence whose
 * words are the most frequent, and then counts those words less, so that the next one says something else (the idea of
 * SumBasic: Nenkova and Vanderwende, "The Impact of Frequency on Summarization", 2005; squaring the weights as they do
 * drives the later picks to side matters). Answers undefined when there is no sentence.
 */
export function extractiveSummary(sentences: readonly TextSentence[]): string | undefined {
  const candidates = readCandidates(sentences);
  const wordsMax = Math.min(
    SUMMARY_WORDS_MAX,
    SUMMARY_SHARE * sentences.reduce((sum, { text }) => sum + countWords(text), 0),
  );
  const weights = wordWeights(candidates);
  const picked: Candidate[] = [];
  let wordsLeft = wordsMax;
  for (;;) {
    // The first pick may be over the share, never over the maximum.
    const room = picked.length === 0 ? SUMMARY_WORDS_MAX : wordsLeft;
    const fitting = candidates.filter((candidate) => candidate.words <= room && !picked.includes(candidate));
    const touched = new Set(picked.map(({ paragraph }) => paragraph));
    const best = mostTelling(fitting, weights, touched, candidates.length);
    if (best === undefined) break;
    picked.push(best);
    wordsLeft -= best.words;
    for (const word of new Set(best.content)) weights.set(word, (weights.get(word) ?? 0) * REPEATED_WEIGHT);
  }
  if (picked.length === 0) return undefined;
  return picked
    .sort((a, b) => a.position - b.position)
    .map(({ text }) => text)
    .join(' ');
}

/** A sentence and which paragraph of its text it stands in. */
export interface TextSentence {
  readonly text: string;
  readonly paragraph: number;
}

interface Candidate extends TextSentence {
  readonly position: number;
  readonly words: number;
  readonly content: readonly string[];
}

/** The whole sentences, or everything where nothing is one; of equal ones the first. */
function readCandidates(sentences: readonly TextSentence[]): readonly Candidate[] {
  const distinct = [
    ...new Map(sentences.toReversed().map((sentence) => [sentence.text, sentence])).values(),
  ].reverse();
  const whole = distinct.filter(({ text }) => isWholeSentence(text));
  return (whole.length > 0 ? whole : distinct).slice(0, SENTENCES_MAX).map((sentence, position) => ({
    ...sentence,
    position,
    words: countWords(sentence.text),
    content: contentWords(sentence.text),
  }));
}

/** Each content word's share of all. */
function wordWeights(candidates: readonly Candidate[]): Map<string, number> {
  const counts = new Map<string, number>();
  let total = 0;
  for (const { content } of candidates) {
    for (const word of content) counts.set(word, (counts.get(word) ?? 0) + 1);
    total += content.length;
  }
  return new Map([...counts].map(([word, count]) => [word, count / total]));
}

function mostTelling(
  candidates: readonly Candidate[],
  weights: ReadonlyMap<string, number>,
  touchedParagraphs: ReadonlySet<number>,
  positions: number,
): Candidate | undefined {
  let best: Candidate | undefined;
  let bestScore = 0;
  for (const candidate of candidates) {
    const sum = candidate.content.reduce((total, word) => total + (weights.get(word) ?? 0), 0);
    const mean = sum / Math.max(candidate.content.length, CONTENT_WORDS_FULL);
    const early = EARLY_WEIGHT - ((EARLY_WEIGHT - 1) * candidate.position) / positions;
    const first = candidate.position === 0 ? FIRST_WEIGHT : 1;
    const touched = touchedParagraphs.has(candidate.paragraph) ? SAME_PARAGRAPH_WEIGHT : 1;
    const dangling = DANGLING.test(candidate.text) ? DANGLING_WEIGHT : 1;
    const score = mean * early * first * touched * dangling;
    if (score > bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}
