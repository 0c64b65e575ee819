/**
 * Splits a text into chunks within a token budget: at paragraphs where it can, else at sentences, else at words, else
 * anywhere. Nothing is lost but the white space between chunks. Pure, so that a workflow may run it.
 */
export function splitDocument(text: string, tokensMax: number): readonly string[] {
  const chunks: string[] = [];
  let current = '';
  for (const piece of pieces(text, tokensMax, SEPARATORS)) {
    if (current !== '' && estimateTokens(current + piece) > tokensMax) {
      chunks.push(current);
      current = '';
    }
    current += piece;
  }
  chunks.push(current);
  return chunks.map((chunk) => chunk.trim()).filter((chunk) => chunk !== '');
}

/**
 * Tokens of a text, rather too many than too few: about four Latin letters make one, in other scripts often each
 * character. A tokenizer would be exact for one model; a budget need not be.
 */
export function estimateTokens(text: string): number {
  let quarters = 0;
  for (const character of text) quarters += character.charCodeAt(0) < 0x250 ? 1 : 4;
  return Math.ceil(quarters / 4);
}

/** Each with the separator behind it, so that joined they are the text again. */
const SEPARATORS: readonly RegExp[] = [/\n\s*\n/, /(?<=[.!?…。！？])\s/, /\s/];

function pieces(text: string, tokensMax: number, separators: readonly RegExp[]): readonly string[] {
  if (estimateTokens(text) <= tokensMax) return [text];
  const [separator, ...finer] = separators;
  if (separator === undefined) return slices(text, tokensMax);
  return splitAfter(text, separator).flatMap((part) => pieces(part, tokensMax, finer));
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
function slices(text: string, tokensMax: number): readonly string[] {
  const characters = [...text];
  const parts: string[] = [];
  for (let start = 0; start < characters.length; start += tokensMax) {
    parts.push(characters.slice(start, start + tokensMax).join(''));
  }
  return parts;
}
