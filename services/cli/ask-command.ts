import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ConversationTurn, ExperiencesClient } from '../client/index.js';
import { newUuid } from '../domain/new-uuid.js';
import { jsonObject, seconds, wholeNumber } from './argument-values.js';
import { VERSION_MAX } from './experience-commands.js';
import type { Output } from './output.js';
import type { Session } from './session.js';

interface AskOptions {
  readonly type?: string;
  readonly document?: string;
  readonly version?: number;
  readonly user?: string;
  readonly budget?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly turn?: string;
  readonly wait: number;
}

/** `experiences ask`: a question in a conversation; on a terminal the answer shows while it is written. */
export function addAskCommand(program: Command, session: Session): void {
  program
    .command('ask <experience-id> <question>')
    .description('ask a question in a conversation; the first one, with --type and --document, begins it')
    .option('--type <type>', 'type of a new conversation, such as Document_Chatbot')
    .option('--document <id>', 'the document that a new conversation is about')
    .option('--version <n>', 'version of the type; else the current one', wholeNumber(VERSION_MAX))
    .option('--user <id>', 'whom a new conversation is for')
    .option('--budget <usd>', 'the most that a new conversation may spend, such as 0.50')
    .option('--parameters <json>', 'a JSON object that is handed to the workflow', jsonObject)
    .option('--turn <uuid>', 'an id of your own: the same command again answers the same turn')
    .option('--wait <seconds>', 'how long to wait for the answer', seconds(WAIT_SECONDS_MAX), WAIT_SECONDS)
    .action((experienceId: string, question: string, options: AskOptions) =>
      session.run(async ({ client, output }) => {
        const turnId = options.turn ?? newUuid();
        const live = new LiveAnswer(output, turnId);
        if (output.isLive) live.follow(client, experienceId);
        const answered = await client.runs
          .ask(
            { experienceId, question, turnId, ...newConversation(options) },
            { timeoutMs: options.wait * 1_000 },
          )
          .finally(() => live.stop());
        if (answered.alreadyExisted) output.notice('It was answered before.');
        await live.settle(answered.turn.answer);
        output.result(answered, () =>
          turnText(answered.turn, { answerShown: live.shows(answered.turn.answer) }),
        );
      }),
    );
}

function newConversation({ type, document, version, user, budget, parameters }: AskOptions) {
  return {
    ...(type === undefined ? {} : { experienceType: type }),
    ...(document === undefined ? {} : { documentId: document }),
    ...(version === undefined ? {} : { experienceVersion: version }),
    ...(user === undefined ? {} : { userId: user }),
    ...(budget === undefined ? {} : { budget }),
    ...(parameters === undefined ? {} : { parameters }),
  };
}

/** The answer as far as it was shown. It is a courtesy: whatever goes wrong, the durable answer is shown at the end. */
class LiveAnswer {
  readonly #output: Output;
  readonly #turnId: string;
  #text = '';
  #attempt = 0;
  #stopped = false;

  constructor(output: Output, turnId: string) {
    this.#output = output;
    this.#turnId = turnId;
  }

  follow(client: Pick<ExperiencesClient, 'runs'>, experienceId: string): void {
    const follow = async (): Promise<void> => {
      while (!this.#stopped) {
        try {
          for await (const output of client.runs.watchOutput(experienceId)) {
            if (this.#stopped) return;
            if (output.outputKey === this.#turnId) this.#show(output);
          }
        } catch {
          // A conversation that is just beginning cannot be watched yet.
        }
        await sleep(WATCH_AGAIN_MS);
      }
    };
    void follow();
  }

  stop(): void {
    if (this.#text === '') this.#stopped = true;
  }

  /** The last pieces may come after the durable answer. */
  async settle(answer: string): Promise<void> {
    const giveUp = Date.now() + SETTLE_MS;
    while (!this.#stopped && !this.shows(answer) && Date.now() < giveUp) await sleep(SETTLE_POLL_MS);
    this.#stopped = true;
    if (this.#text !== '') this.#output.piece('\n');
  }

  shows(answer: string): boolean {
    return this.#text === answer;
  }

  #show({ attempt, text }: { readonly attempt: number; readonly text: string }): void {
    if (attempt < this.#attempt) return;
    if (attempt > this.#attempt && this.#text !== '') {
      this.#output.piece('\n');
      this.#text = '';
    }
    this.#attempt = attempt;
    this.#text += text;
    this.#output.piece(text);
  }
}

function turnText(
  { answer, passages }: ConversationTurn,
  { answerShown }: { readonly answerShown: boolean },
): string {
  const places = passages.map(({ offset, length, text }) => {
    const line = text.replaceAll(/\s+/g, ' ');
    const shown = line.length > PASSAGE_LENGTH ? `${line.slice(0, PASSAGE_LENGTH)}…` : line;
    return `  bytes ${offset}-${offset + length}: ${shown}`;
  });
  return [...(answerShown ? [] : [answer]), '', 'It rests on:', ...places].join('\n');
}

const WAIT_SECONDS = 120;
const WAIT_SECONDS_MAX = 300;
const WATCH_AGAIN_MS = 200;
const SETTLE_MS = 1_000;
const SETTLE_POLL_MS = 20;
const PASSAGE_LENGTH = 160;
