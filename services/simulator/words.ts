/** One word: a character of a script written without spaces, or a run of letters and digits. */
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{N}][\p{L}\p{N}\p{M}'’-]*/gu;

/** Words that say nothing about what a text is about. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again all also although always am an and any are as at be because been before being below ' +
    'between both but by can cannot could did do does doing done down during each either else ever every few for from ' +
    'further get gets got had has have having he her here hers him his how however i if in instead into is it its just ' +
    'least let like made make makes many may me might more most much must my near neither never no nor not now of off ' +
    'often on once one only onto or other others our ours out over own per please rather same she should since so some ' +
    'still such than that the their them then there therefore these they this those though through thus to too two ' +
    'under until up upon us use used uses using very via was we well were what when where whether which while who ' +
    'whom whose why will with within without would yes yet you your yours'
  ).split(' '),
);

export function countWords(text: string): number {
  return text.match(WORD)?.length ?? 0;
}

/** The words that carry meaning, lower-case, one's plural as its singular, in order and repeated as often as they occur. */
export function contentWords(text: string): readonly string[] {
  const words = text.match(WORD) ?? [];
  return words.map((word) => singular(word.toLowerCase())).filter((word) => !STOP_WORDS.has(word));
}

/** Good enough to let `invoice` meet `invoices` and `invoice's`; it need not be a word. */
function singular(word: string): string {
  const bare = word.replace(/['’](?:s|re|ve|ll|d|t|m)?$/u, '');
  if (bare.length > 4 && bare.endsWith('ies')) return `${bare.slice(0, -3)}y`;
  return bare.length > 3 && bare.endsWith('s') && !/(?:ss|us|is)$/.test(bare) ? bare.slice(0, -1) : bare;
}
