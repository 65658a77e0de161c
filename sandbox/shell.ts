import { randomBytes, randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type Channel, createChannel } from "./channel.ts";
import type { ExecEnd } from "./engine.ts";
import { firstOf, late } from "./limits.ts";
import { quote, quoteFormat } from "./quote.ts";
import {
  type Bounds,
  callOf,
  type Command,
  createStep,
  lostStep,
  noAnswer,
  parseEnd,
  type Ran,
  ranNothing,
  type Resumed,
  type Step,
  type StepEnd,
} from "./step.ts";

/** Commands in a sandbox, many at once, through the supervisor's one stream. */
export interface Shell {
  run(command: Command): Promise<Ran>;
  /** Waits for a step that another host began. `unknown`: it began, and how it ended nobody saw; nothing of it runs. */
  resume(step: string, bounds: Bounds): Promise<Resumed>;
  /** Puts bytes into a file of the supervisor, unseen by the tree, and returns its path. */
  stage(bytes: Uint8Array): Promise<string>;
  freeze(note?: string): Promise<void>;
  close(): void;
}

const supervisor = readFileSync(new URL("supervisor.sh", import.meta.url));
const graceMs = 1_000;
const killLimitMs = 20_000;
const readyLimitMs = 20_000;
const probeMs = 1_000;
const tickMs = 100;
const resumeCheckMs = 50;
const removedAtOnce = 64;
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

/** Goes on with a supervisor that another host started. Undefined when it does not answer. */
export async function reopenShell(stream: Duplex): Promise<Shell | undefined> {
  const shell = new SupervisedShell(stream);
  if (await shell.rejoin()) return shell;
  shell.close();
  return undefined;
}

class SupervisedShell implements Shell {
  readonly #channel: Channel;
  readonly #steps = new Map<string, Step>();
  readonly #waiting = new Map<string, (rest: string) => void>();
  readonly #tick: NodeJS.Timeout;
  /** Named steps whose output may still be asked for, and ids of the others, to be removed. */
  readonly #kept: Step[] = [];
  readonly #spent: string[] = [];
  /** Whether fewer shells than there were may wait for a command. */
  #shellsUsed = false;
  #recoveries = 0;
  #lost = false;
  #ready: Promise<unknown> = Promise.resolve();

  constructor(stream: Duplex) {
    this.#channel = createChannel(stream, (words) => this.#onEvent(words));
    this.#tick = setInterval(() => this.#onTick(), tickMs).unref();
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

  /** Whether the supervisor answers. */
  async rejoin(): Promise<boolean> {
    const state = await this.#probe();
    // It died while nobody listened, and a new shell took over its streams.
    if (state === "") await this.#revive();
    return state !== undefined && !this.#lost;
  }

  async run(command: Command): Promise<Ran> {
    const started = performance.now();
    const text = Buffer.byteLength(command.text) > argumentLimit ? await this.#sourced(command.text) : command.text;
    await this.#ready;
    if (this.#lost) return ranNothing({ end: "sandbox-lost" });
    if (command.signal?.aborted) return ranNothing({ end: "aborted" });
    // Who begins the next named step has noted how the last one ended.
    if (command.step !== undefined) for (const step of this.#kept.splice(0)) this.#forget(step);
    const step = this.#open(command.step);
    this.#shellsUsed = true;
    this.#channel.send(`S ${step.id} ${step.word} ${quote(callOf({ ...command, text }))} E\n`);
    return this.#finish(step, command, started);
  }

  async resume(name: string, bounds: Bounds): Promise<Resumed> {
    const started = performance.now();
    await this.#ready;
    if (this.#lost) return ranNothing({ end: "sandbox-lost" });
    const step = this.#open(name);
    const ended = step.ended.promise.then(() => undefined);
    const known = await firstOf(Promise.race([this.#watch(step), ended]), {
      ms: bounds.timeoutMs,
      signal: bounds.signal,
    });
    if (known === "never-began" || known === "unknown") {
      this.#steps.delete(step.word);
      return { end: known };
    }
    const timeoutMs = bounds.timeoutMs - (performance.now() - started);
    return this.#finish(step, { ...bounds, timeoutMs, withCwd: true }, started);
  }

  #open(name: string | undefined): Step {
    const step = createStep(name);
    this.#steps.set(step.word, step);
    return step;
  }

  /** Asks after a step of another host until its end is known. */
  async #watch(step: Step): Promise<"never-began" | "unknown" | undefined> {
    while (!this.#lost) {
      const word = randomBytes(8).toString("hex");
      const answer = await this.#event(word, () => this.#channel.send(`Q ${step.id} ${word} E\n`));
      if (answer === undefined) this.close();
      const [state, ...end] = answer?.split(" ") ?? [];
      if (state === "none") return "never-began";
      if (state === "lost") return this.#sweep(step);
      if (state === "done") {
        step.ended.resolve(parseEnd(end));
        return undefined;
      }
      await delay(resumeCheckMs);
    }
    return undefined;
  }

  async #sweep(step: Step): Promise<"unknown" | undefined> {
    this.#channel.send(`K ${step.id} ${step.word} KILL E\n`);
    if ((await firstOf(step.swept.promise, { ms: killLimitMs })) === late) this.close();
    return this.#lost ? undefined : "unknown";
  }

  async #finish(step: Step, bounds: Bounds, started: number): Promise<Ran> {
    const first = await firstOf(step.ended.promise, { ms: bounds.timeoutMs, signal: bounds.signal });
    const { end, output, cwd, note } = first === late ? await this.#stop(step, bounds.signal?.aborted === true) : first;
    this.#steps.delete(step.word);
    const wanted = { ...bounds, withCwd: cwd || bounds.withCwd === true };
    const asks = (output || wanted.withCwd) && !this.#lost;
    const answer = asks ? await this.#channel.ask(step.id, wanted) : noAnswer;
    if (step.named) this.#kept.push(step);
    else this.#forget(step, output);
    const ending: ExecEnd = answer === undefined ? { end: "sandbox-lost" } : end;
    return { ...ending, answer: answer ?? noAnswer, note, durationMs: performance.now() - started };
  }

  async #stop(step: Step, aborted: boolean): Promise<StepEnd> {
    this.#channel.send(`K ${step.id} ${step.word} TERM E\n`);
    await firstOf(step.ended.promise, { ms: graceMs });
    this.#channel.send(`K ${step.id} ${step.word} KILL E\n`);
    const all = Promise.all([step.ended.promise, step.swept.promise]);
    const stopped = await firstOf(all, { ms: killLimitMs });
    // A supervisor that can't end a command is of no further use.
    if (stopped === late) this.close();
    if (this.#lost || stopped === late) return lostStep;
    return { end: { end: aborted ? "aborted" : "timed-out" }, output: true, cwd: true, note: "" };
  }

  /** Gives the room of a step's output back. */
  #forget(step: Step, output = true): void {
    if (output) this.#channel.send(`F ${step.id} E\n`);
    if (step.named) return;
    this.#spent.push(step.id);
    if (this.#spent.length >= removedAtOnce) this.#channel.send(`X ${this.#spent.splice(0).join(" ")} E\n`);
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

  async freeze(note = ""): Promise<void> {
    await this.#ready;
    await this.#killAll(note);
  }

  close(): void {
    this.#lost = true;
    this.#channel.close();
  }

  async #killAll(note: string): Promise<void> {
    const word = randomBytes(8).toString("hex");
    const killed = await this.#event(word, () => this.#channel.send(`Z ${word} E\n`));
    if (killed === undefined) return this.close();
    for (const step of this.#steps.values()) {
      step.ended.resolve({ end: { end: "killed" }, output: true, cwd: true, note });
      step.swept.resolve();
    }
  }

  // The shell died because it could not fork.
  async #recover(): Promise<void> {
    if (++this.#recoveries > recoveryLimit) return this.close();
    await delay(150);
    if ((await this.#probe()) === undefined) return this.close();
    await this.#revive();
  }

  async #revive(): Promise<void> {
    const up = await this.#event("up", () => this.#channel.send(supervisor));
    if (up === undefined) return this.close();
    await this.#killAll("[agent-fix: the process limit was reached, and every process in the sandbox was ended]\n");
    this.#channel.askAgain();
  }

  /**
   * "up" from a supervisor, "" from a shell that is none yet. The shell may read on from the middle of a call, even of
   * a quoted word: the quote closes the word there, and is a comment elsewhere. It is asked again and again, since a shell
   * that dies takes along what it had read.
   */
  async #probe(): Promise<string | undefined> {
    const word = randomBytes(8).toString("hex");
    const ask = () => this.#channel.send(`\n\n#'\n\n{ echo; echo R ${word} "$AF_UP"; } >&2\n`);
    for (let left = readyLimitMs; left > 0 && !this.#lost; left -= probeMs) {
      const came = await this.#event(word, ask, probeMs);
      if (came !== undefined) return came;
    }
    return undefined;
  }

  /** Waits for the event `R word`; undefined when it does not come. */
  async #event(word: string, begin: () => void, limitMs = readyLimitMs): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.set(word, resolve);
    begin();
    const came = await firstOf(promise, { ms: limitMs });
    this.#waiting.delete(word);
    return came === late || this.#lost ? undefined : came;
  }

  /** Looks after floods while commands run, and starts shells for the next ones while none does. */
  #onTick(): void {
    if (this.#steps.size > 0) return this.#channel.send("T E\n");
    // It must not complete half a call of another host, not even one that ends in a backslash.
    if (this.#shellsUsed) this.#channel.send("\n\nA E\n");
    this.#shellsUsed = false;
  }

  #onEvent([kind, word = "", ...rest]: string[]): void {
    const step = this.#steps.get(word);
    if (kind === "R") this.#waiting.get(word)?.(rest.join(" "));
    if (kind === "K" && rest[0] === "KILL") step?.swept.resolve();
    if (kind === "D") step?.ended.resolve(parseEnd(rest));
    if (kind === "Y") this.#ready = this.#ready.then(() => this.#recover());
  }

  #onEnd(): void {
    this.#lost = true;
    clearInterval(this.#tick);
    for (const resolve of this.#waiting.values()) resolve("");
    for (const step of this.#steps.values()) {
      step.ended.resolve(lostStep);
      step.swept.resolve();
    }
  }
}
