import type { ChatMessage } from './chat-message.js';
import { extractiveSummary, type TextSentence } from './extractive-summary.js';
import { bestPassage } from './passage-answer.js';
import { plainParagraphs } from './plain-paragraphs.js';
import { sentencesOf } from './sentences.js';
import { countWords } from './words.js';

/** An answer has at most this many characters, whatever a text without full stops looks like. */
const ANSWER_CHARACTERS_MAX = 2_000;

/**
 * What the simulated model says: the same words for the same conversation. Asked to summarise, a summary of the text it
 * was given; otherwise the sentence of the conversation that fits the question best.
 */
export function conversationAnswer(messages: readonly ChatMessage[]): string {
  const conversation = readConversation(messages);
  return shorten(wantsSummary(conversation) ? summarise(conversation) : reply(conversation));
}

interface Conversation {
  /** What system and developer messages say. */
  readonly system: string;
  /** What the user said, oldest first; never empty. */
  readonly user: readonly [...earlier: string[], last: string];
  readonly question: string | undefined;
}

function readConversation(messages: readonly ChatMessage[]): Conversation {
  const textOf = (roles: readonly ChatMessage['role'][]): string[] =>
    messages.filter(({ role }) => roles.includes(role)).map(({ texts }) => texts.join('\n\n'));
  const system = textOf(['system', 'developer']).join('\n\n');
  const user = textOf(['user', 'tool', 'function']);
  const last = user.pop() ?? system;
  return { system, user: [...user, last], question: explicitQuestion(last) };
}

const SUMMARY = /\bsummar/i;
const SUMMARISE = /\bsummari[sz]/i;

/**
 * A question that does not ask for a summary is answered, even where a passage or a note about the conversation so far
 * speaks of one; only an instruction with the verb outdoes it.
 */
function wantsSummary({ system, user, question }: Conversation): boolean {
  if (SUMMARISE.test(system)) return true;
  if (question !== undefined) return SUMMARY.test(question);
  return SUMMARY.test(system) || SUMMARY.test(user.at(-1) ?? '');
}

const LABELLED_QUESTION = /^[ \t>*_#]{0,10}(?:question|query)[*_]{0,2}\s{0,5}:[*_]{0,2}\s{0,5}(\S.*)$/im;
const QUESTION_WORDS_MAX = 60;

/** What stands after `Question:`, or a short message that ends with a question mark. */
function explicitQuestion(message: string): string | undefined {
  const labelled = LABELLED_QUESTION.exec(message)?.[1]?.trim();
  if (labelled !== undefined) return labelled;
  const trimmed = message.trim();
  return /[?？]["'”’)]*$/.test(trimmed) && countWords(trimmed) <= QUESTION_WORDS_MAX ? trimmed : undefined;
}

/** Sentences that tell the model to summarise stand within so many of the start or the end of a message. */
const INSTRUCTION_HEAD_SENTENCES = 6;
const INSTRUCTION_TAIL_SENTENCES = 2;
const INSTRUCTION =
  /\bsummari[sz]e\b|\b(?:write|give|create|produce|provide|combine|merge|make|need|return)\b.{0,120}\bsummar/i;
/** `Summarise this: The text` in one sentence. */
const INSTRUCTION_BEFORE_COLON = /^[^:]{0,300}\bsummar[^:]{0,300}:\s+/i;

const BACKTICK_FENCE = /```+/g;

function summarise({ system, user }: Conversation): string {
  const last = user.at(-1) ?? '';
  // Callers fence a text like code, too. And "summarise the above" gives no text of its own: what was said before is meant.
  const texts = [[last], [last.replace(BACKTICK_FENCE, '\n')], user.slice(0, -1), [system]];
  for (const text of texts) {
    const summary = extractiveSummary(text.flatMap(withoutInstruction));
    if (summary !== undefined) return summary;
  }
  return 'There is no text to summarise.';
}

function withoutInstruction(message: string): readonly TextSentence[] {
  const sentences = plainParagraphs(message).flatMap((text, paragraph) =>
    sentencesOf(text).map((sentence) => ({ text: sentence, paragraph })),
  );
  const isInstruction = ({ text }: TextSentence): boolean => INSTRUCTION.test(text);
  const instructed = sentences.slice(0, INSTRUCTION_HEAD_SENTENCES).findLastIndex(isInstruction);
  const body = sentences.slice(instructed + 1);
  const tail = body.splice(-INSTRUCTION_TAIL_SENTENCES).filter((sentence) => !isInstruction(sentence));
  const instruction = sentences[instructed];
  if (instruction !== undefined && INSTRUCTION_BEFORE_COLON.test(instruction.text)) {
    const text = instruction.text.replace(INSTRUCTION_BEFORE_COLON, '');
    body.unshift({ ...instruction, text });
  }
  return [...body, ...tail];
}

const QUOTED_WORDS_MAX = 20;

function reply({ system, user, question }: Conversation): string {
  const last = user.at(-1) ?? '';
  const asked = question ?? lastQuestion(last) ?? last;
  // What stands in the last message is nearest, then what the system was told, then what was said before.
  for (const source of [last, system, user.slice(0, -1).join('\n\n')]) {
    const passage = bestPassage(asked, plainParagraphs(source).flatMap(sentencesOf));
    if (passage !== undefined) return passage;
  }
  const quoted = asked.trim().split(/\s+/).slice(0, QUOTED_WORDS_MAX).join(' ');
  return `This is a simulated answer, for nothing in the conversation says more about “${quoted}”.`;
}

/** The last sentence of a longer message that asks. */
function lastQuestion(message: string): string | undefined {
  return plainParagraphs(message)
    .flatMap(sentencesOf)
    .findLast((sentence) => /[?？]["'”’)]*$/.test(sentence));
}

function shorten(text: string): string {
  if (text.length <= ANSWER_CHARACTERS_MAX) return text;
  // A cut between the halves of a surrogate pair would leave a character that is none.
  return `${text.slice(0, ANSWER_CHARACTERS_MAX).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
