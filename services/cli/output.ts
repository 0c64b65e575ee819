import { type ErrorReport, errorText } from './error-report.js';
import { jsonText } from './json-text.js';
import { visibleLine, visibleText } from './visible-text.js';

/** Where a command writes to; a terminal says how wide it is. */
export interface Writer {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/**
 * What a command says. The result goes to standard output, as text for people or as one JSON document; everything else
 * goes to standard error, with `--json` as one JSON object a line.
 */
export class Output {
  readonly json: boolean;
  readonly #stdout: Writer;
  readonly #stderr: Writer;
  #statusShown = '';

  constructor(options: { readonly stdout: Writer; readonly stderr: Writer; readonly json: boolean }) {
    this.#stdout = options.stdout;
    this.#stderr = options.stderr;
    this.json = options.json;
  }

  result(value: unknown, text: () => string): void {
    this.#endStatus();
    this.#stdout.write(`${this.json ? jsonText(value) : text()}\n`);
  }

  /** Whether somebody reads along: then text may be shown while it is written. */
  get isLive(): boolean {
    return !this.json && this.#stdout.isTTY === true;
  }

  /** A piece of the result that is just written; only where it is live. */
  piece(text: string): void {
    this.#endStatus();
    this.#stdout.write(visibleText(text));
  }

  /** What a person should know beside the result. */
  notice(message: string): void {
    this.#endStatus();
    this.#stderr.write(
      this.json ? `${JSON.stringify({ notice: { message } })}\n` : `${visibleText(message)}\n`,
    );
  }

  error(report: ErrorReport): void {
    this.#endStatus();
    this.#stderr.write(this.json ? `${JSON.stringify({ error: report })}\n` : `${errorText(report)}\n`);
  }

  /** How far something is: drawn again in place on a terminal, a line at each change elsewhere; not with `--json`. */
  status(text: string): void {
    if (this.json || text === this.#statusShown) return;
    this.#statusShown = text;
    if (this.#stderr.isTTY !== true) this.#stderr.write(`${visibleText(text)}\n`);
    else {
      const width = (this.#stderr.columns || COLUMNS_DEFAULT) - 1;
      this.#stderr.write(`\r${CLEAR_LINE}${visibleLine(text, width)}`);
    }
  }

  /** The last status stays where it is. */
  #endStatus(): void {
    if (this.#statusShown !== '' && this.#stderr.isTTY === true) this.#stderr.write('\n');
    this.#statusShown = '';
  }
}

const CLEAR_LINE = '\u001b[K';
const COLUMNS_DEFAULT = 80;
