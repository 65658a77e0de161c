/** Nothing that we post is longer: GitHub refuses a body of more than 65,536 characters. */
const bodyLimit = 60_000;

const closing =
  /\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(\s*:\s*|\s+)(?=(?:[\w.-]+\/[\w.-]+)?#\d|GH-\d|https?:\/\/\S{1,300}\/(?:issues|pull)\/\d)(#?)/gi;

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

/** A mark in front of a line would begin a list, a heading or a rule there; elsewhere it is as harmless escaped. */
function escapeInline(text: string): string {
  return text
    .replaceAll(/([\\`*_~[\]<>|])/g, String.raw`\$1`)
    .replaceAll(/&(?=[#\w])/g, String.raw`\&`)
    .replace(/^\s*[#=+-]/, (mark) => `${mark.slice(0, -1)}\\${mark.slice(-1)}`)
    .replace(/^(\s*\d{1,9})(?=[.)])/, "$1\\")
    .replaceAll("@", "@\u{200B}")
    .replaceAll(/:(?=\/\/)|www(?=\.)/gi, "$&\u{200B}")
    .replaceAll(/GH-(?=\d)/gi, "$&\u{200B}")
    .replaceAll(/#(?=\d)/g, "#\u{200B}")
    .replaceAll(/!(?=\\\[)/g, String.raw`\!`);
}

/** Foreign text as code in one line, also in a table's cell. */
export function inlineCode(text: string): string {
  return `\`${plainText(text.replaceAll(/[`|]/g, " "), 160) || " "}\``;
}

/** Foreign text as one line for a title or a commit message: no control characters, no closing words. */
export function plainText(text: string, most = 2000): string {
  const line = closingNothing(text.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\u{2028}\u{2029}]+/gu, " "))
    .replaceAll(/\s+/g, " ")
    .trim();
  return line.length > most ? `${cut(line, most - 1)}…` : line;
}

/**
 * Foreign text that closes no issue, in Markdown or in a commit message: where a pull request is squashed, its whole body
 * becomes one.
 */
export function closingNothing(text: string): string {
  // A word more, since what is left after something was taken out could close something again.
  return withoutControls(text).replaceAll(
    closing,
    (_all, word: string, space: string, mark: string) => `${word}${space}${mark ? "no. " : "see "}`,
  );
}

/** The beginning of a text, of at most so many UTF-16 units, with its last character whole. */
export function cut(text: string, most: number): string {
  return text.slice(0, most).replace(/\p{Cs}$/u, "");
}

/** Foreign text as a code block whose fence is longer than any in the text; of too many backticks in a row, 100 stay. */
export function fencedText(text: string, language = ""): string {
  const shown = withoutControls(text).replaceAll(/(`{100})`+/g, "$1");
  const longest = Math.max(2, ...[...shown.matchAll(/`{3,}/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${shown}\n${fence}`;
}

function withoutControls(text: string): string {
  return text.toWellFormed().replaceAll(/[^\P{Cc}\n\t]/gu, "");
}

/** The end of a long text, from a line's start. */
export function tailOf(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = text.slice(-most).replace(/^\p{Cs}/u, "");
  return `[…]\n${end.slice(end.indexOf("\n") + 1)}`;
}

/** A body that GitHub accepts; what is over the limit is left out and said. */
export function boundedBody(body: string): string {
  return body.length <= bodyLimit ? body : `${cut(body, bodyLimit)}\n\n_(cut: the rest did not fit into one comment)_`;
}
