import { randomInt } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { begin } from "../src/begin.ts";
import { OutageError, messageOf } from "../src/errors.ts";
import type { Access, CodeHost, Forge } from "../src/forge.ts";
import { watchInbox } from "../src/inbox.ts";
import type { Inbox, InboxMessage } from "../src/inbox.ts";
import type { IntakeJob, RepoRef, RunJob } from "../src/job.ts";
import type { Log } from "../src/log.ts";
import { epochKey as epochKeyOf, within } from "../src/queue.ts";
import type { Redact } from "../src/redact.ts";
import type { FinishedEvent, RunEvent, RunLog } from "../src/runlog.ts";
import type { Engine } from "../sandbox/engine.ts";
import type { KeptTrees } from "../sandbox/kept.ts";
import type { EgressPolicy } from "../sandbox/network.ts";
import type { ModelClient } from "./agent/model.ts";
import type { Mirrors } from "./checkout.ts";

/** How a run ended. Expected endings are values; what is thrown is a bug or an outage. */
export type Outcome = FinishedEvent;

/** What a run works with that does not depend on the code host: the same in the service and in `resolve`. */
export interface Tools {
  engine: Engine;
  model: ModelClient;
  mirrors: Mirrors;
  /** Trees and set-ups that outlive runs. */
  kept: KeptTrees;
  dataDir: string;
  /** Used where neither the settings nor a devcontainer name an image; also the image of our own helpers. */
  image: string;
  egress: Omit<EgressPolicy, "hosts">;
  /** What git needs to reach the code host: certificates and proxy. */
  gitEnv: Record<string, string>;
  /** Knows the installation's secrets. */
  redact: Redact;
}

export interface WorkerDeps extends Tools {
  host: CodeHost;
  redis: Redis;
  inbox: Inbox;
  log: Log;
  openLog(runId: string): RunLog;
  /** Tells those that wait where they stand in the queue now. */
  tellPlaces(): Promise<void>;
  /** Has what its repository shows and wants done without being asked looked after soon: a run begins, or has ended so. */
  lookAfter(run: RunJob, ended?: Outcome["outcome"]): Promise<void>;
  /** Has the intake decide about an event as if it had just come. */
  hear(job: Extract<IntakeJob, { kind: "comment" }>): Promise<void>;
  /** Whether the queue still holds the run, waiting or at work. */
  isLive(runId: string): Promise<boolean>;
  /** The least time between two edits of a status comment, in milliseconds. */
  reportEveryMs: number;
  /** How often the inbox and the queue are looked at, in milliseconds. */
  pollMs: number;
}

/** One job in work: its log, its signal, and the guard that every outside effect passes first. */
export interface Run extends AsyncDisposable {
  job: RunJob;
  /** Which claim of the job this is. */
  epoch: number;
  log: RunLog;
  signal: AbortSignal;
  /** Why the signal aborted, when a person asked for it. */
  stopped(): Extract<InboxMessage, { kind: "stop" }> | undefined;
  /** Throws when another worker has taken the run over: nothing may be written then. */
  guard(): Promise<void>;
  /**
   * A forge for as long as `work` takes. Its token is revoked after that, one that only reads without a wait for it, and
   * is on disk until then, so that a sweep can revoke it.
   */
  withToken<T>(access: Access, work: (forge: Forge, token: string) => Promise<T>): Promise<T>;
  /** All that reached the run so far; a stop among it counts from now on. */
  inboxMessages(): Promise<InboxMessage[]>;
}

// Leaves room for thousands of claims below the largest safe integer.
const longestStep = 2 ** 40;

/** Claims the job: a new epoch, so that a worker which lost it writes nothing more. */
export async function openRun(job: RunJob, signal: AbortSignal, deps: WorkerDeps): Promise<Run> {
  const epochKey = epochKeyOf(job.runId);
  // Steps of one would give the same epoch twice when Redis lost its data in between.
  const epoch = await within(5000, deps.redis.incrby(epochKey, randomInt(1, longestStep)));
  await within(5000, deps.redis.expire(epochKey, 30 * 24 * 3600));
  const log = deps.openLog(job.runId);
  // One that can't be revoked now stays on disk, for the next try and for the tidying.
  await revokeLeftTokens(log.dir, deps.host).catch((error: unknown) => {
    deps.log.warn({ run: job.runId, error: messageOf(error) }, "a token of an earlier try could not be revoked");
  });
  await log.append({ type: "claimed", epoch, job });

  const abort = new AbortController();
  const closed = new AbortController();
  const revoking: Promise<void>[] = [];
  let stop: Extract<InboxMessage, { kind: "stop" }> | undefined;
  const onMessage = (message: InboxMessage) => {
    if (message.kind !== "stop") return;
    stop = message;
    abort.abort(new Error(`stopped: ${message.reason}`));
  };
  const watching = watchInbox(deps.inbox, job.runId, { everyMs: deps.pollMs, signal: closed.signal, onMessage });

  return {
    job,
    epoch,
    log,
    signal: AbortSignal.any([signal, abort.signal]),
    stopped: () => stop,
    async inboxMessages() {
      const messages = await deps.inbox.read(job.runId);
      messages.forEach(onMessage);
      return messages;
    },
    async guard() {
      const current = await within(5000, deps.redis.get(epochKey));
      // None is there when Redis lost its data and nobody has claimed the run anew.
      if (current !== null && Number(current) !== epoch)
        throw new OutageError(`run ${job.runId} was taken over by another worker`);
    },
    withToken: (access, work) =>
      lendToken(
        {
          repo: job.repo,
          access,
          dir: log.dir,
          note: (event) => log.append(event),
          ...(access === "read" && { after: (revocation) => void revoking.push(begin(revocation)) }),
        },
        deps,
        work,
      ),
    async [Symbol.asyncDispose]() {
      closed.abort();
      await Promise.allSettled([watching, ...revoking]);
      log.close();
    },
  };
}

/** What each kind of subject does: the work, and where its outcome is told. */
export interface Workflow {
  work(run: Run, deps: WorkerDeps): Promise<Outcome>;
  report(run: Run, outcome: Outcome, deps: WorkerDeps): Promise<void>;
}

interface Loan {
  repo: RepoRef;
  access: Access;
  /** Holds the token until it is revoked, so that a sweep can do it where this process dies. */
  dir: string;
  note?: (event: Extract<RunEvent, { type: "token.minted" | "token.revoked" }>) => Promise<void>;
  /** Takes the revocation over, which never rejects but for the disk; without, the loan waits for it. */
  after?: (revocation: Promise<void>) => void;
}

/** A token for as long as `work` takes. */
export async function lendToken<T>(
  { repo, access, dir, note = async () => {}, after }: Loan,
  { host, log }: Pick<WorkerDeps, "host" | "log">,
  work: (forge: Forge, token: string) => Promise<T>,
): Promise<T> {
  const token = await host.mint(repo, access);
  keepToken(dir, token.value);
  await note({ type: "token.minted", purpose: access, expires: token.expires });
  try {
    return await work(host.forgeWith(repo, token.value), token.value);
  } finally {
    const revocation = revoke();
    if (after === undefined) await revocation;
    else after(revocation);
  }

  async function revoke(): Promise<void> {
    const revoked = await host.revoke(token.value).then(
      () => true,
      (error: unknown) => {
        log.warn({ dir, error: messageOf(error) }, "a token could not be revoked");
        return false;
      },
    );
    if (!revoked) return;
    forgetToken(dir, token.value);
    await note({ type: "token.revoked", purpose: access });
  }
}

const tokensFile = (dir: string) => join(dir, "tokens");

/** Revokes what a dead worker left behind. */
export async function revokeLeftTokens(runDir: string, host: Pick<CodeHost, "revoke">): Promise<number> {
  const left = readTokens(runDir);
  for (const token of left) {
    await host.revoke(token);
    forgetToken(runDir, token);
  }
  return left.length;
}

function readTokens(dir: string): string[] {
  return existsSync(tokensFile(dir)) ? readFileSync(tokensFile(dir), "utf8").split("\n").filter(Boolean) : [];
}

function keepToken(dir: string, token: string): void {
  writeFileSync(tokensFile(dir), `${token}\n`, { mode: 0o600, flag: "a" });
}

function forgetToken(dir: string, token: string): void {
  const left = readTokens(dir).filter((one) => one !== token);
  if (left.length === 0) rmSync(tokensFile(dir), { force: true });
  else writeFileSync(tokensFile(dir), left.map((one) => `${one}\n`).join(""), { mode: 0o600 });
}
