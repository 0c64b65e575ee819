import { countWords } from './words.js';

/** The sentences of a paragraph, in order. */
export function sentencesOf(paragraph: string): readonly string[] {
  const sentences: string[] = [];
  let previous = '';
  for (const segment of paragraph.trim().split(BOUNDARY)) {
    if (ABBREVIATED.test(previous)) sentences.push(`${sentences.pop() ?? ''} ${segment}`);
    else if (segment !== '') sentences.push(segment);
    previous = segment;
  }
  return sentences;
}

/**
 * White space after an end sign unless a small letter follows, or any place after one of a script without spaces.
 * `Intl.Segmenter` knows more languages, but its time is quadratic: 11 s for a paragraph of 200,000 characters (Node 20).
 */
const BOUNDARY =
  /(?<=[.!?…]["'”’)\]]{0,3})\s+(?=["'“‘([¿¡]?[^\p{Ll}\s])|(?<=[。！？]["'”’)\]」』]{0,3})(?![。！？"'”’)\]」』])\s*/u;

/** After these a full stop does not end a sentence, though a capital follows. */
const ABBREVIATED =
  /(?:^|[\s(])(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Inc|Ltd|Co|Corp|No|Nos|Fig|Figs|Sec|Vol|vs|etc|e\.g|i\.e|cf|al|approx|resp|incl|U\.S|\p{Lu})\.$/u;

const WORDS_MIN = 6;
const WORDS_MAX = 60;
const START = /^["'“‘(¿¡]?[\p{Lu}\p{Lt}\p{Lo}\p{N}]/u;
const END = /[.!?…。！？]["'”’)\]]*$/u;
const PROSE_CHARACTERS = /[\p{L}\p{M}\p{N}\s.,;%$€£'’"“”-]/gu;
const PROSE_SHARE_MIN = 0.95;

/** Whether it can stand alone as a sentence: no heading, fragment of code or scrap of a table. */
export function isWholeSentence(sentence: string): boolean {
  if (!START.test(sentence) || !END.test(sentence)) return false;
  const words = countWords(sentence);
  if (words < WORDS_MIN || words > WORDS_MAX) return false;
  const prose = sentence.match(PROSE_CHARACTERS)?.length ?? 0;
  return prose >= sentence.length * PROSE_SHARE_MIN;
}
