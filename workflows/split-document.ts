/**
 * Splits a text into chunks within a token budget: at paragraphs where it can, else at sentences, else at words, else
 * anywhere. Nothing is lost but the white space between chunks. Pure, so that a workflow may run it.
 */
export function splitDocument(text: string, tokensMax: number): readonly string[] {
  return joinedChunks(text, tokensMax)
    .map((chunk) => chunk.trim())
    .filter((chunk) => chunk !== '');
}

/** The same chunks with the white space between them, so that joined they are the text again. */
export function joinedChunks(text: string, tokensMax: number): readonly string[] {
  const quartersMax = tokensMax * 4;
  const chunks: string[] = [];
  let current: string[] = [];
  let currentQuarters = 0;
  for (const piece of pieces(text, quartersMax, SEPARATORS)) {
    // Counted once for each piece: counting the whole chunk anew would take a workflow's time for long documents.
    const quarters = tokenQuarters(piece);
    if (current.length > 0 && currentQuarters + quarters > quartersMax) {
      chunks.push(current.join(''));
      current = [];
      currentQuarters = 0;
    }
    current.push(piece);
    currentQuarters += quarters;
  }
  chunks.push(current.join(''));
  return chunks;
}

/**
 * Quarters of tokens in a text, rather too many than too few: about four Latin letters make one token, in other scripts
 * often each character. A tokenizer would be exact for one model; a budget need not be.
 */
function tokenQuarters(text: string): number {
  let quarters = 0;
  for (const character of text) quarters += character.charCodeAt(0) < 0x250 ? 1 : 4;
  return quarters;
}

/** Each with the separator behind it, so that joined they are the text again. */
const SEPARATORS: readonly RegExp[] = [/\n\s*\n/, /(?<=[.!?…。！？])\s/, /\s/];

function pieces(text: string, quartersMax: number, separators: readonly RegExp[]): readonly string[] {
  if (tokenQuarters(text) <= quartersMax) return [text];
  const [separator, ...finer] = separators;
  if (separator === undefined) return slices(text, quartersMax / 4);
  return splitAfter(text, separator).flatMap((part) => pieces(part, quartersMax, finer));
}

function splitAfter(text: string, separator: RegExp): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  for (const match of text.matchAll(new RegExp(separator, 'gu'))) {
    const end = match.index + match[0].length;
    parts.push(text.slice(start, end));
    start = end;
  }
  parts.push(text.slice(start));
  return parts.filter((part) => part !== '');
}

/** Of so many code points each, that even the widest script stays within the budget. */
function slices(text: string, charactersMax: number): readonly string[] {
  const characters = [...text];
  const parts: string[] = [];
  for (let start = 0; start < characters.length; start += charactersMax) {
    parts.push(characters.slice(start, start + charactersMax).join(''));
  }
  return parts;
}
