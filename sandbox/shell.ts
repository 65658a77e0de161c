import { randomBytes, randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type Answer, type Channel, createChannel } from "./channel.ts";
import type { ExecEnd } from "./engine.ts";
import { firstOf, late } from "./limits.ts";
import { quote, quoteFormat } from "./quote.ts";

export interface Command {
  text: string;
  cwd: string;
  timeoutMs: number;
  /** How many bytes of the output are wanted from its start and from its end. */
  head: number;
  tail: number;
  env: Record<string, string>;
  signal: AbortSignal | undefined;
}

export type Ran = ExecEnd & { answer: Answer; note: string; durationMs: number };

/** Commands in a sandbox, many at once, through the supervisor's one stream. */
export interface Shell {
  run(command: Command): Promise<Ran>;
  /** Puts bytes into a file of the supervisor, unseen by the tree, and returns its path. */
  stage(bytes: Uint8Array): Promise<string>;
  freeze(): Promise<void>;
  close(): void;
}

type StepEnd = { end: ExecEnd; more: boolean; note: string };

interface Step {
  id: number;
  ended: PromiseWithResolvers<StepEnd>;
  swept: PromiseWithResolvers<void>;
}

const supervisor = readFileSync(new URL("supervisor.sh", import.meta.url));
const noAnswer: Answer = { total: 0, head: Buffer.alloc(0), tail: Buffer.alloc(0), cwd: Buffer.alloc(0) };
const graceMs = 1_000;
const killLimitMs = 20_000;
const readyLimitMs = 20_000;
const floodCheckMs = 100;
// The kernel takes 128 KiB for one argument.
const argumentLimit = 100_000;
const chunkSize = 24_000;
const recoveryLimit = 20;

/** Starts the supervisor on the container's streams. `started` begins the container once somebody listens. */
export async function createShell(stream: Duplex, started: () => Promise<void>): Promise<Shell> {
  const shell = new SupervisedShell(stream);
  try {
    await started();
    await shell.boot();
  } catch (error) {
    shell.close();
    throw error;
  }
  return shell;
}

class SupervisedShell implements Shell {
  readonly #channel: Channel;
  readonly #open = new Map<number, Step>();
  readonly #waiting = new Map<string, (rest: string) => void>();
  readonly #floodCheck: NodeJS.Timeout;
  #recoveries = 0;
  #lost = false;
  #ready: Promise<unknown> = Promise.resolve();

  constructor(stream: Duplex) {
    this.#channel = createChannel(stream, (words) => this.#onEvent(words));
    this.#floodCheck = setInterval(() => this.#open.size > 0 && this.#channel.send("T E\n"), floodCheckMs);
    this.#floodCheck.unref();
    void this.#channel.ended.then(() => this.#onEnd());
  }

  async boot(): Promise<void> {
    const answer = await this.#event("up", () => this.#channel.send(supervisor));
    if (answer === "") return;
    throw new Error(
      answer === "bare"
        ? "The sandbox's image has no setsid, which ends commands together with their children. Add the package util-linux (or busybox) to the image."
        : "The sandbox's image did not start /bin/sh: it needs a POSIX shell with head, tail, wc, grep and setsid.",
    );
  }

  async run(command: Command): Promise<Ran> {
    const started = performance.now();
    const { end, more, note, id } = await this.#execute(command);
    const answer = more && !this.#lost ? await this.#channel.ask(id, command.head, command.tail) : noAnswer;
    if (more) this.#channel.send(`F ${id} E\n`);
    const ending: ExecEnd = answer === undefined ? { end: "sandbox-lost" } : end;
    return { ...ending, answer: answer ?? noAnswer, note, durationMs: performance.now() - started };
  }

  async #execute(command: Command): Promise<StepEnd & { id: number }> {
    const text = Buffer.byteLength(command.text) > argumentLimit ? await this.#sourced(command.text) : command.text;
    await this.#ready;
    // A process that stays behind can write events too, and must not know the ids to come.
    const id = randomInt(2 ** 47);
    const step: Step = { id, ended: Promise.withResolvers(), swept: Promise.withResolvers() };
    if (this.#lost) return { end: { end: "sandbox-lost" }, more: false, note: "", id };
    if (command.signal?.aborted) return { end: { end: "aborted" }, more: false, note: "", id };
    this.#open.set(id, step);
    const words = [command.cwd, text, ...Object.entries(command.env).map(([name, value]) => `${name}=${value}`)];
    this.#channel.send(`S ${id} ${words.map(quote).join(" ")} E\n`);
    const first = await firstOf(step.ended.promise, { ms: command.timeoutMs, signal: command.signal });
    const ending = first === late ? await this.#stop(step, command.signal?.aborted === true) : first;
    this.#open.delete(id);
    return { ...ending, id };
  }

  async #stop(step: Step, aborted: boolean): Promise<StepEnd> {
    this.#channel.send(`K ${step.id} TERM E\n`);
    await firstOf(step.ended.promise, { ms: graceMs });
    this.#channel.send(`K ${step.id} KILL E\n`);
    const all = Promise.all([step.ended.promise, step.swept.promise]);
    const stopped = await firstOf(all, { ms: killLimitMs });
    // A supervisor that can't end a command is of no further use.
    if (stopped === late) this.close();
    if (this.#lost || stopped === late) return { end: { end: "sandbox-lost" }, more: false, note: "" };
    return { end: { end: aborted ? "aborted" : "timed-out" }, more: true, note: "" };
  }

  async #sourced(text: string): Promise<string> {
    return `. ${await this.stage(Buffer.from(text))}`;
  }

  async stage(bytes: Uint8Array): Promise<string> {
    await this.#ready;
    const name = `in${randomInt(2 ** 47)}`;
    for (let start = 0; start < bytes.length || start === 0; start += chunkSize) {
      const format = quoteFormat(bytes.subarray(start, start + chunkSize));
      this.#channel.send(Buffer.concat([Buffer.from(`W ${name} `), format, Buffer.from(" E\n")]));
    }
    return `/run/af/${name}`;
  }

  async freeze(): Promise<void> {
    await this.#ready;
    await this.#killAll("");
  }

  close(): void {
    this.#lost = true;
    this.#channel.close();
  }

  async #killAll(note: string): Promise<void> {
    const word = randomBytes(8).toString("hex");
    const killed = await this.#event(word, () => this.#channel.send(`Z ${word} E\n`));
    if (killed === undefined) return this.close();
    for (const step of this.#open.values()) {
      step.ended.resolve({ end: { end: "killed" }, more: true, note });
      step.swept.resolve();
    }
  }

  // The shell died because it could not fork. A new one reads on, perhaps from the middle of a quoted word.
  async #recover(): Promise<void> {
    if (++this.#recoveries > recoveryLimit) return this.close();
    await delay(150);
    const heard = (await this.#probe("", 2_000)) ?? (await this.#probe("'", 10_000));
    if (heard === undefined) return this.close();
    const up = await this.#event("up", () => this.#channel.send(supervisor));
    if (up === undefined) return this.close();
    await this.#killAll("[agent-fix: the process limit was reached, and every process in the sandbox was ended]\n");
    this.#channel.askAgain();
  }

  #probe(closing: string, limitMs: number): Promise<string | undefined> {
    const word = randomBytes(8).toString("hex");
    return this.#event(word, () => this.#channel.send(`${closing}\n{ echo; echo R ${word}; } >&2\n`), limitMs);
  }

  /** Waits for the event `R word`; undefined when it does not come. */
  async #event(word: string, begin: () => void, limitMs: number = readyLimitMs): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.set(word, resolve);
    begin();
    const came = await firstOf(promise, { ms: limitMs });
    this.#waiting.delete(word);
    return came === late || this.#lost ? undefined : came;
  }

  #onEvent([kind, word = "", ...rest]: string[]): void {
    const step = this.#open.get(Number(word));
    if (kind === "R") this.#waiting.get(word)?.(rest[0] ?? "");
    if (kind === "K" && rest[0] === "KILL") step?.swept.resolve();
    if (kind === "D") step?.ended.resolve(parseEnd(rest));
    if (kind === "Y") this.#ready = this.#ready.then(() => this.#recover());
  }

  #onEnd(): void {
    this.#lost = true;
    clearInterval(this.#floodCheck);
    for (const resolve of this.#waiting.values()) resolve("");
    for (const step of this.#open.values()) {
      step.ended.resolve({ end: { end: "sandbox-lost" }, more: false, note: "" });
      step.swept.resolve();
    }
  }
}

function parseEnd([code = "", more = "", killed = ""]: string[]): StepEnd {
  const number = /^\d{1,3}$/.test(code) ? Number(code) : 255;
  const end: ExecEnd = killed === "1" && number !== 0 ? { end: "out-of-memory" } : { end: "exited", code: number };
  return { end, more: more === "1", note: "" };
}
