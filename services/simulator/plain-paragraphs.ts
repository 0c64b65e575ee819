/**
 * The paragraphs of a markdown or plain text as plain lines of prose. Headings, code, tables, rules, HTML tags and
 * link targets are left out; an item of a list is a paragraph of its own.
 */
export function plainParagraphs(text: string): readonly string[] {
  const paragraphs: string[] = [];
  let lines: string[] = [];
  let fence: string | undefined;

  function endParagraph(): void {
    if (lines.length === 0) return;
    const paragraph = plainInline(lines.join(' ')).replace(LABEL, '').trim();
    if (paragraph !== '') paragraphs.push(paragraph);
    lines = [];
  }

  for (const line of text.replace(COMMENT, ' ').replace(TRIPLE_QUOTES, '\n').split(LINE_END)) {
    const bare = line.trim().replace(QUOTE_MARK, '').trimStart();
    const [mark] = FENCE.exec(bare) ?? [];
    if (fence !== undefined) {
      if (mark?.startsWith(fence) === true) fence = undefined;
    } else if (mark !== undefined) {
      endParagraph();
      fence = mark;
    } else if (UNDERLINE.test(bare)) {
      // Under one line of text it makes that a heading; elsewhere it is a rule.
      if (lines.length === 1) lines = [];
      endParagraph();
    } else if (bare === '' || HEADING.test(bare) || TABLE_ROW.test(bare) || LINK_TARGET.test(bare)) {
      endParagraph();
    } else if (LIST_MARK.test(bare)) {
      endParagraph();
      lines.push(bare.replace(LIST_MARK, ''));
    } else {
      lines.push(bare);
    }
  }
  endParagraph();
  return paragraphs;
}

// Texts are long and come from anyone: no pattern may take more than linear time, so repeated parts are bounded or end
// where the next match could begin.
const LINE_END = /\r\n|[\n\r\f]/;
const COMMENT = /<!--[\s\S]{0,2000}?-->/g;
const QUOTE_MARK = /^(?:>\s?)+/;
const FENCE = /^(?:```+|~~~+)/;
/** What callers put around a text that they hand over. */
const TRIPLE_QUOTES = /"""|'''/g;
const UNDERLINE = /^(?:=+|-+|\*+|_+|~+|#+)$/;
const HEADING = /^#{1,6}\s/;
const TABLE_ROW = /^\||\s\|\s.*\s\|\s|^(?=.*---)[+|:\s-]+$/;
/** Link and footnote definitions, and directives of reStructuredText. */
const LINK_TARGET = /^(?:\[[^\]\n]{1,200}\]:\s|\.\.\s)/;
const LIST_MARK = /^(?:[-*+•]|\d{1,4}[.)]|\(\w{1,3}\))\s+/;
/** `Summary 2:`, `[Part 3 of 7]`: what a caller writes before each of several texts. */
const LABEL =
  /^\[?(?:summary|part|section|chunk|passage|document|text|page|source)s?\s*(?:#?\d{1,6}(?:\s*(?:of|\/)\s*\d{1,6})?)?(?:\]\s*[:.-]?|\s*:)\s*/i;

/** Tags of HTML, and those that callers put around texts; other words in angle brackets are placeholders to be read. */
const TAG =
  /<\/?(?:a|abbr|article|b|blockquote|br|center|code|content|context|dd|details|div|dl|document|documents|dt|em|h[1-6]|hr|i|img|kbd|li|ol|p|passage|passages|picture|pre|question|s|section|small|source|span|strong|sub|summaries|summary|sup|table|tbody|td|text|th|thead|tr|u|ul)(?:\s[^<>\n]{0,2000})?\/?>/gi;

function plainInline(text: string): string {
  return text
    .replace(/!\[[^[\]\n]{0,500}\]\([^)\n]{0,2000}\)/g, '')
    .replace(/\[([^[\]\n]{0,500})\](?:\([^)\n]{0,2000}\)|\[[^[\]\n]{0,200}\])/g, '$1')
    .replace(TAG, ' ')
    .replace(/`{1,2}([^`\n]{1,500})`{1,2}/g, '$1')
    .replace(/\*\*(?=\S)([^*\n]{1,1000})\*\*/g, '$1')
    .replace(/(?<!\w)__(?=\S)([^_\n]{1,1000})__(?!\w)/g, '$1')
    .replace(/(?<![\w*])[*_](?=\S)([^*_\n]{1,1000})[*_](?![\w*])/g, '$1')
    .replace(/\[\^?[^\]\n]{1,20}\](?=[\s.,;]|$)/g, (reference) =>
      /^\[\^?\d+\]$/.test(reference) ? '' : reference,
    )
    .replace(/\\([!-/:-@[-`{-~])/g, '$1')
    .replace(/\uFEFF/g, '')
    .replace(/\s+/g, ' ');
}
