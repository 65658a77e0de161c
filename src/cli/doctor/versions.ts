import { execFile } from "node:child_process";
import { release, version } from "node:os";
import { promisify } from "node:util";
import type { EngineFacts } from "../../../sandbox/facts.ts";
import { type Component, judge } from "../floors.ts";
import { type Finding, type Seen, notKnown, ok, warn } from "./finding.ts";

/** What tells its version; undefined: it does not answer, or is not there. */
export interface Versions {
  engine: EngineFacts | undefined;
  /** As `git --version` says it. */
  git: string | undefined;
  /** The answer to INFO, or what `redis-server --version` says. */
  redis: string | undefined;
}

/** One finding for each program that stands between a sandbox and the host, or between others and the work. */
export function judgeVersions({ engine, git, redis }: Versions): Finding[] {
  const silent = notKnown("the Docker engine does not answer");
  const component = (name: string, word: Component): Seen => {
    const told = engine?.components.get(name);
    return told === undefined ? notKnown(`the engine does not name a version of ${name}`) : judged(word, name, told);
  };
  return [
    { part: "engine", ...(engine === undefined ? silent : engineOf(engine)) },
    { part: "runc", ...(engine === undefined ? silent : component("runc", "runc")) },
    { part: "containerd", ...(engine === undefined ? silent : component("containerd", "containerd")) },
    { part: "kernel", ...(engine === undefined ? silent : judged("kernel", "Linux", kernelOf(engine.kernel))) },
    { part: "git", ...(git === undefined ? notKnown("git does not start") : judged("git", "git", numberIn(git))) },
    { part: "redis-server", ...(redis === undefined ? notKnown("no Redis answers") : serverOf(redis)) },
  ];
}

/** Asks git, where there is one. */
export async function gitVersion(): Promise<string | undefined> {
  return firstLine("git");
}

/** Asks the redis-server that `up` would start, where there is one. */
export async function redisServerVersion(): Promise<string | undefined> {
  return firstLine("redis-server");
}

async function firstLine(program: string): Promise<string | undefined> {
  const asked = promisify(execFile)(program, ["--version"], { timeout: 10_000 });
  return asked.then(({ stdout }) => stdout.split("\n", 1)[0]?.trim()).catch(() => undefined);
}

function judged(component: Component, name: string, told: string, where = ""): Seen {
  const verdict = judge(component, told);
  switch (verdict.kind) {
    case "well":
      return ok(`${name} ${told}${where}`);
    case "unknown":
      return notKnown(`${name} says ${JSON.stringify(told)}, which is no version`);
    case "under": {
      const missing = verdict.missing.map(({ against, fixed }) => `${against}, mended in ${fixed.join(", ")}`);
      return warn(
        `${name} ${told}${where} is older than the fix of ${missing.join("; and of ")}`,
        "Update it, unless your distribution says that its package has the fix under this number",
      );
    }
  }
}

function engineOf({ version, components, operatingSystem }: EngineFacts): Seen {
  // Podman and others answer to the same questions with numbers of their own.
  if (!components.has("Engine"))
    return ok(`${[...components.keys()].join(", ")} ${version}, for which no floor is known`);
  return judged("engine", "Docker", version, operatingSystem === "" ? "" : ` on ${operatingSystem}`);
}

// Debian names a kernel by its ABI, 6.1.0-49-amd64; the number that tells the fixes stands beside it.
function kernelOf(told: string): string {
  const debian = told === release() ? /Debian (\d\S+)/.exec(version())?.[1] : undefined;
  return debian ?? told;
}

function numberIn(told: string): string {
  return told.replace(/^git version /, "");
}

function serverOf(told: string): Seen {
  const named = (pattern: RegExp) => pattern.exec(told)?.[1];
  const dragonfly = named(/^dragonfly_version:(\S+)/m);
  if (dragonfly !== undefined) return ok(`Dragonfly ${dragonfly}, for which no floor is known`);
  const valkey = named(/^valkey_version:(\S+)/m) ?? named(/^Valkey server v=(\S+)/m);
  if (valkey !== undefined) return judged("valkey", "Valkey", valkey);
  return judged("redis", "Redis", named(/^redis_version:(\S+)/m) ?? named(/^Redis server v=(\S+)/m) ?? "");
}
