import { execFile, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { pipeline } from "node:stream/promises";
import { accountOfCaller, authorize, callerOf } from "./auth.ts";
import type { Caller } from "./auth.ts";
import type { Context } from "./context.ts";
import { Failure, notFound } from "./failure.ts";
import { gitEnvironment, listRefs, zero } from "./git.ts";
import { afterPush } from "./pushes.ts";
import { fullName } from "./state.ts";
import type { Repository } from "./state.ts";

const serveLimitMs = 10 * 60_000;
const longestHead = 64 * 1024;

/** Answers one request of git's smart HTTP protocol by `git http-backend`, with the same tokens as the REST API. */
export async function serveGit(
  request: Request,
  { owner, name, service }: { owner: string; name: string; service: string },
  context: Context,
): Promise<Response> {
  const { state } = context;
  const url = new URL(request.url);
  const pushes = service === "git-receive-pack" || url.searchParams.get("service") === "git-receive-pack";
  const caller = callerOf(state, request.headers.get("authorization") ?? undefined);
  const repository = state.repositories.get(`${owner}/${name}`);
  const moved = state.moved.get(`${owner}/${name}`);
  if (moved !== undefined && !(moved.private && caller.kind === "nobody"))
    return Response.redirect(`${context.site.url}/${fullName(moved)}.git/${service}${url.search}`, 301);
  // Without credentials git must be asked for them, also where there is nothing: a 404 would end it.
  if (caller.kind === "nobody" && (pushes || repository === undefined || repository.private)) return askForToken();
  if (repository === undefined) throw notFound();
  if (pushes && repository.archived) throw new Failure(403, "This repository was archived so it is read-only.");
  authorize(caller, repository, { permission: "contents", level: pushes ? "write" : "read" });

  const backend = { repository, service, caller };
  if (service !== "git-receive-pack") return runBackend(request, backend);
  const before = await listRefs(repository.gitDir);
  const answer = await runBackend(request, backend);
  const after = await listRefs(repository.gitDir);
  const moves = [...new Set([...before.keys(), ...after.keys()])].map((ref) => ({
    ref,
    before: before.get(ref) ?? zero,
    after: after.get(ref) ?? zero,
  }));
  await afterPush(context, repository, { sender: accountOfCaller(caller), moves });
  return answer;
}

function askForToken(): Response {
  return new Response("Repository not found.\n", {
    status: 401,
    headers: { "www-authenticate": 'Basic realm="GitHub"' },
  });
}

interface Backend {
  repository: Repository;
  service: string;
  caller: Caller;
}

async function runBackend(request: Request, { repository, service, caller }: Backend): Promise<Response> {
  // Not by way of `git`, which would not pass on that it is killed.
  const { stdout } = await promisify(execFile)("git", ["--exec-path"], { timeout: 10_000 });
  const child = spawn(join(stdout.trim(), "git-http-backend"), [], {
    env: cgiEnvironment(request, { repository, service, caller }),
    stdio: ["pipe", "pipe", "ignore"],
    timeout: serveLimitMs,
  });
  void pipeline(request.body ?? [], child.stdin).catch((error: NodeJS.ErrnoException) => {
    // git reads on for ever where a body ends before its length; that git itself stopped reading is its answer.
    if (error.code !== "EPIPE") child.kill("SIGKILL");
  });
  const out: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on("error", reject).on("close", () => resolve());
  await promise;
  return fromCgi(Buffer.concat(out));
}

function cgiEnvironment(request: Request, { repository, service, caller }: Backend): Record<string, string> {
  const url = new URL(request.url);
  const header = (name: string) => request.headers.get(name) ?? "";
  return {
    ...gitEnvironment(),
    GIT_PROJECT_ROOT: dirname(repository.gitDir),
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: `/${repository.gitDir.slice(dirname(repository.gitDir).length + 1)}/${service}`,
    REQUEST_METHOD: request.method,
    QUERY_STRING: url.search.slice(1),
    CONTENT_TYPE: header("content-type"),
    CONTENT_LENGTH: header("content-length"),
    HTTP_CONTENT_ENCODING: header("content-encoding"),
    HTTP_GIT_PROTOCOL: header("git-protocol"),
    GIT_PROTOCOL: header("git-protocol"),
    REMOTE_ADDR: "127.0.0.1",
    // git lets only named users push.
    ...(caller.kind === "nobody" || caller.kind === "app" ? {} : { REMOTE_USER: caller.account.login }),
  };
}

function fromCgi(out: Buffer): Response {
  const end = out.indexOf("\r\n\r\n");
  if (end === -1 || end > longestHead) throw new Failure(500, "git http-backend gave no answer");
  const headers = new Headers();
  let status = 200;
  for (const line of out.subarray(0, end).toString("latin1").split("\r\n")) {
    const colon = line.indexOf(":");
    const [key, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (key.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else headers.append(key, value);
  }
  return new Response(new Uint8Array(out.subarray(end + 4)), { status, headers });
}
