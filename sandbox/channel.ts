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

/** The stream to the supervisor. What comes up is bounded and never taken for more than data. */
export interface Channel {
  /** Settles when the stream has ended, for whatever reason. */
  readonly ended: Promise<void>;
  send(line: string | Buffer): void;
  /** Sends a call of `O` and waits for its answer; undefined when none came in time. */
  ask(id: number, head: number, tail: number): Promise<Answer | undefined>;
  /** Repeats what was asked and not answered, because the shell that was asked has died. */
  askAgain(): void;
  close(): void;
}

interface Question {
  call: string;
  nonce: Buffer;
  limit: number;
  chunks: Buffer[];
  length: number;
  /** The last bytes that came: an answer ends in its nonce. */
  end: Buffer;
  answered: (answer: Answer | undefined) => void;
}

const answerLimitMs = 60_000;
const eventLength = 200;
const noBytes = Buffer.alloc(0);
const strayLimit = 64 * 2 ** 20;

export function createChannel(stream: Duplex, onEvent: (words: string[]) => void): Channel {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const questions: Question[] = [];
  let stray = 0;

  const onLines = createEventReader(onEvent);
  const demux = createDemux((source, chunk) => (source === "stdout" ? onAnswer(chunk) : onLine(chunk)));
  stream.on("data", demux);
  stream.on("error", () => stream.destroy());
  stream.on("end", () => stream.destroy());
  stream.on("close", () => {
    for (const question of questions.splice(0)) question.answered(undefined);
    end();
  });

  // A process in the sandbox can write here without end. Nothing of it is kept, and in the end it costs the stream.
  function drop(chunk: Buffer): void {
    stray += chunk.length;
    if (stray > strayLimit) stream.destroy();
  }

  function onAnswer(chunk: Buffer): void {
    const question = questions[0];
    if (!question) return drop(chunk);
    question.chunks.push(chunk);
    question.length += chunk.length;
    question.end = Buffer.concat([question.end, chunk]).subarray(-question.nonce.length);
    const complete = question.end.equals(question.nonce);
    const answer = complete ? parseAnswer(Buffer.concat(question.chunks), question.nonce) : undefined;
    if (!answer && question.length <= question.limit) return;
    questions.shift();
    question.answered(answer);
    if (!answer) stream.destroy();
  }

  function onLine(chunk: Buffer): void {
    drop(chunk);
    onLines(chunk);
  }

  async function ask(id: number, head: number, tail: number): Promise<Answer | undefined> {
    const nonce = randomBytes(16).toString("hex");
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const limit = head + tail + 16_384;
    const call = `O ${id} ${nonce} ${head} ${tail} E\n`;
    questions.push({ call, nonce: Buffer.from(nonce), limit, chunks: [], length: 0, end: noBytes, answered: resolve });
    send(call);
    const answer = stream.destroyed ? undefined : await firstOf(promise, { ms: answerLimitMs });
    if (answer !== late) return answer;
    stream.destroy();
    return undefined;
  }

  function askAgain(): void {
    for (const question of questions) {
      Object.assign(question, { chunks: [], length: 0, end: noBytes });
      send(question.call);
    }
  }

  function send(line: string | Buffer): void {
    if (!stream.destroyed) stream.write(line);
  }

  return { ended, send, ask, askAgain, close: () => void stream.destroy() };
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

/** `nonce size \n head nonce tail nonce cwd nonce`, or undefined while it is not complete. */
function parseAnswer(bytes: Buffer, nonce: Buffer): Answer | undefined {
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
  const total = Number(first.subarray(0, lineEnd).toString("latin1"));
  if (lineEnd < 0 || !Number.isSafeInteger(total)) return undefined;
  return { total, head: first.subarray(lineEnd + 1), tail, cwd };
}
