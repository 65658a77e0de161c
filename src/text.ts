/** Nothing that we post is longer: GitHub refuses a body of more than 65,536 characters. */
const bodyLimit = 60_000;

const closing =
  /\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)((?:[\w.-]+\/[\w.-]+)?#\d+|GH-\d+|https?:\/\/\S+\/(?:issues|pull)\/\d+)/gi;

/**
 * Foreign text as one line of Markdown that notifies nobody, closes nothing, and renders no HTML, image or link. Words
 * between single backticks stay code: nothing in them acts.
 */
export function inlineText(text: string): string {
  return plainText(text)
    .split(/((?<!`)`[^`]+`(?!`))/)
    .map((part, index) => (index % 2 === 1 ? part : escapeInline(part)))
    .join("");
}

function escapeInline(text: string): string {
  return text
    .replaceAll(/([\\`*_[\]<>|])/g, String.raw`\$1`)
    .replaceAll("@", "@\u{200B}")
    .replaceAll(/:(?=\/\/)|\bwww(?=\.)/gi, "$&\u{200B}")
    .replaceAll(/#(?=\d)/g, "#\u{200B}")
    .replaceAll(/!(?=\\\[)/g, String.raw`\!`);
}

/** Foreign text as one line for a title or a commit message: no control characters, no closing words. */
export function plainText(text: string, most = 2000): string {
  const line = text
    .replaceAll(/[\p{Cc}\p{Cf}\u{2028}\u{2029}]+/gu, " ")
    .replaceAll(
      closing,
      (_all, word: string, space: string, what: string) =>
        `${word}${space}${what.replace(/#|GH-|https?:\/\//i, (mark) => (mark.includes(":") ? "" : "no. "))}`,
    )
    .replaceAll(/\s+/g, " ")
    .trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** Foreign text as a code block whose fence is longer than any in the text. */
export function fencedText(text: string, language = ""): string {
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text.replaceAll(/[^\P{Cc}\n\t]/gu, "")}\n${fence}`;
}

/** The end of a long text, from a line's start. */
export function tailOf(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = text.slice(-most);
  return `[…]\n${end.slice(end.indexOf("\n") + 1)}`;
}

/** A body that GitHub accepts; what is over the limit is left out and said. */
export function boundedBody(body: string): string {
  return body.length <= bodyLimit
    ? body
    : `${body.slice(0, bodyLimit)}\n\n_(cut: the rest did not fit into one comment)_`;
}
