import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { createDemux } from "./demux.ts";
import { firstOf, late } from "./limits.ts";

/** One answer of the supervisor, cut at its nonce. Everything in it is the sandbox's own claim. */
export interface Answer {
  total: number;
  head: Buffer;
  tail: Buffer;
  cwd: Buffer;
}

export interface Wanted {
  /** How many bytes of the output are wanted from its start and from its end. */
  head: number;
  tail: number;
  /** Whether the working directory is. Default: no. */
  withCwd?: boolean;
}

/** The stream to the supervisor. What comes up is bounded and never taken for more than data. */
export interface Channel {
  /** Settles when the stream has ended, for whatever reason. */
  readonly ended: Promise<void>;
  send(line: string | Buffer): void;
  /** Asks for a command's output, head and tail, and waits; undefined when no answer came in time. */
  ask(id: string, wanted: Wanted): Promise<Answer | undefined>;
  /** Repeats what was asked and not answered, because the shell that was asked has died. */
  askAgain(): void;
  close(): void;
}

interface Question {
  ask: (nonce: string) => string;
  nonce: Buffer;
  limit: number;
  chunks: Buffer[];
  length: number;
  /** The last bytes that came: a nonce may arrive in pieces. */
  end: Buffer;
  answered: (answer: Answer | undefined) => void;
}

const answerLimitMs = 60_000;
const eventLength = 200;
const noBytes = Buffer.alloc(0);
const strayLimit = 64 * 2 ** 20;

export function createChannel(stream: Duplex, onEvent: (words: string[]) => void): Channel {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const destroy = () => void stream.destroy();
  let stray = 0;

  // A process in the sandbox can write here without end. Nothing of it is kept, and in the end it costs the stream.
  function drop(chunk: Buffer): void {
    stray += chunk.length;
    if (stray > strayLimit) destroy();
  }

  function send(line: string | Buffer): void {
    if (!stream.destroyed) stream.write(line);
  }

  const questions = createQuestions({ send, drop, destroy });
  const onLines = createEventReader(onEvent);
  const demux = createDemux((source, chunk) => {
    if (source === "stdout") return questions.onAnswer(chunk);
    drop(chunk);
    onLines(chunk);
  });
  stream.on("data", demux);
  stream.on("error", destroy);
  stream.on("end", destroy);
  stream.on("close", () => {
    questions.end();
    end();
  });

  async function ask(id: string, wanted: Wanted): Promise<Answer | undefined> {
    if (stream.destroyed) return undefined;
    // Most outputs are short: the first answer is then the whole, by one program less.
    const whole = await questions.put("O", id, wanted);
    if (whole === undefined || whole.head.length <= wanted.head + wanted.tail || stream.destroyed) return whole;
    return questions.put("G", id, wanted);
  }

  return { ended, send, ask, askAgain: questions.again, close: destroy };
}

interface Wire {
  send: (line: string) => void;
  drop: (chunk: Buffer) => void;
  destroy: () => void;
}

/** The supervisor answers one question after another. */
function createQuestions({ send, drop, destroy }: Wire) {
  const questions: Question[] = [];
  // Before the first answer there may be one that another host asked for and did not live to read.
  let slack = strayLimit;

  async function put(verb: "O" | "G", id: string, { head, tail, withCwd }: Wanted): Promise<Answer | undefined> {
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const ask = (nonce: string) => `${verb} ${id} ${nonce} ${head} ${tail} ${withCwd ? "cwd " : ""}E\n`;
    const limit = head + tail + slack;
    slack = 16_384;
    const question = { ask, nonce: noBytes, limit, chunks: [], length: 0, end: noBytes, answered: resolve };
    questions.push(question);
    pose(question);
    const answer = await firstOf(promise, { ms: answerLimitMs });
    if (answer !== late) return answer;
    destroy();
    return undefined;
  }

  function pose(question: Question): void {
    const nonce = randomBytes(16).toString("hex");
    Object.assign(question, { nonce: Buffer.from(nonce), chunks: [], length: 0, end: noBytes });
    send(question.ask(nonce));
  }

  function onAnswer(chunk: Buffer): void {
    const question = questions[0];
    if (!question) return drop(chunk);
    question.chunks.push(chunk);
    question.length += chunk.length;
    const seen = Buffer.concat([question.end, chunk]);
    question.end = seen.subarray(1 - question.nonce.length);
    const parsed = seen.includes(question.nonce)
      ? parseAnswer(Buffer.concat(question.chunks), question.nonce)
      : undefined;
    if (!parsed && question.length <= question.limit) return;
    questions.shift();
    question.answered(parsed?.answer);
    if (!parsed) return destroy();
    if (parsed.rest.length > 0) onAnswer(parsed.rest);
  }

  return {
    put,
    onAnswer,
    again: () => questions.forEach(pose),
    end: () => questions.splice(0).forEach(({ answered }) => answered(undefined)),
  };
}

/** Hands on whole lines that look like events; whatever else a shell says is left out. */
function createEventReader(onEvent: (words: string[]) => void): (chunk: Buffer) => void {
  let line = "";
  return (chunk) => {
    line += chunk.toString("latin1");
    const lines = line.split("\n");
    line = (lines.pop() ?? "").slice(0, eventLength);
    for (const text of lines) {
      if (text.length <= eventLength && /^[DKRY]\b/.test(text)) onEvent(text.split(" "));
    }
  };
}

/** `nonce size \n head nonce tail nonce cwd nonce` and what follows, or undefined while it is not complete. */
function parseAnswer(bytes: Buffer, nonce: Buffer): { answer: Answer; rest: Buffer } | undefined {
  const parts: Buffer[] = [];
  let start = bytes.indexOf(nonce);
  while (start >= 0 && parts.length < 3) {
    const next = bytes.indexOf(nonce, start + nonce.length);
    if (next < 0) return undefined;
    parts.push(bytes.subarray(start + nonce.length, next));
    start = next;
  }
  const [first, tail, cwd] = parts;
  if (!first || !tail || !cwd) return undefined;
  const lineEnd = first.indexOf("\n");
  const size = first.subarray(0, lineEnd).toString("latin1");
  const head = first.subarray(lineEnd + 1);
  const total = size === "-" ? head.length : Number(size);
  if (lineEnd < 0 || !Number.isSafeInteger(total)) return undefined;
  return { answer: { total, head, tail, cwd }, rest: bytes.subarray(start + nonce.length) };
}
