import { type Finding, type Seen, bad, ok, warn } from "./finding.ts";
import { unanswered } from "./model-calls.ts";
import type { Answered, Facts } from "./model-calls.ts";
import type { Wire } from "./model-wire.ts";

const password = "kestrel-41";
/** Of the context, so many tokens are tried: more takes a laptop too long. */
const most = 65_536;
const unknown = 32_768;

interface Known extends Facts {
  /** Infinite: nobody tells it. */
  contextTokens: number;
}

/** Fills much of the context, and asks the same again: whether all of it is read, and whether its beginning is kept. */
export async function* examineLarge(wire: Wire, known: Known, limitMs: number): AsyncGenerator<Finding> {
  const tokens = Math.floor(
    0.6 * (Number.isFinite(known.contextTokens) ? Math.min(known.contextTokens, most) : unknown),
  );
  const question = { prompt: longPrompt(tokens), tools: undefined, maxTokens: 256, limitMs };
  const first = await wire.ask(question);
  if (first.kind !== "answer") return yield { part: "large-prompt", ...unanswered(first, known) };
  yield { part: "large-prompt", ...judgeLarge(first, tokens, known) };
  const again = await wire.ask(question);
  const seen = again.kind === "answer" ? judgeCache(first, again, known) : unanswered(again, known);
  return yield { part: "cache", ...seen };
}

/** About so many tokens; a word at its beginning is asked for at its end. */
function longPrompt(tokens: number): string {
  const lines = Array.from(
    { length: Math.ceil(tokens / 12) },
    (_, n) => `${n}: the quick brown fox jumps over the lazy dog`,
  );
  return `The password is ${password}.\n${lines.join("\n")}\nWhat is the password? Answer with it alone.`;
}

function judgeLarge({ text, usage }: Answered, tokens: number, { server }: Known): Seen {
  // Ten tokens a line and more, whatever the tokenizer makes of the numbers.
  if (usage !== undefined && usage.prompt < tokens * 0.6)
    return bad(
      `of a prompt of about ${tokens} tokens only ${usage.prompt} were read: the rest was cut without a word, so a run forgets its task`,
      `${server.context}. Set MODEL_CONTEXT to what it has`,
    );
  const saw = `${usage?.prompt ?? `about ${tokens}`} tokens were read`;
  if (text.includes(password)) return ok(`${saw}, from the first to the last line`);
  return warn(
    `${saw}, but the answer does not know what their first line says: ${JSON.stringify(text.trim().slice(0, 60))}`,
    `If it is so each time, the prompt is cut without a word. ${server.context}`,
  );
}

function judgeCache(first: Answered, again: Answered, { server }: Known): Seen {
  const times = `the first time took ${first.ms} ms, the second ${again.ms} ms`;
  const { prompt = 0, cached } = again.usage ?? {};
  if (cached === undefined) {
    const saw = `the server does not tell what it had in its cache; ${times}`;
    return server.tellsCached === undefined ? ok(saw) : warn(saw, server.tellsCached);
  }
  const share = Math.round((100 * cached) / Math.max(1, prompt));
  const saw = `of the same ${prompt} tokens again ${cached} (${share} %) were in the cache; ${times}`;
  if (share >= 80) return ok(saw);
  return warn(`${saw}. Every step of a run computes the rest again`, server.cache);
}
