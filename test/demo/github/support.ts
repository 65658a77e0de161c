import { execFile } from "node:child_process";
import { createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Octokit } from "@octokit/rest";
import { expect } from "vitest";
import { startGitHub } from "../../../src/demo/github/server.ts";
import type { EmbeddedGitHub, GitHubOptions, NewRepository } from "../../../src/demo/github/server.ts";
import type { Repository } from "../../../src/demo/github/state.ts";
import { statusOf } from "../../../src/github/status.ts";
import { createContract } from "../../support/contract.ts";

export const webhookSecret = "0123456789abcdef0123456789abcdef01234567";
// Making a key takes longer than most tests.
const privateKey = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs1", format: "pem" })
  .toString();
export const shop = { owner: "ann", repo: "shop" };

/** The embedded GitHub in a folder of its own; disposing fails where a call differs from GitHub's description. */
export interface TestGitHub extends EmbeddedGitHub {
  folder: string;
  /** The API with a token or JWT, or with none. */
  with(auth?: string): Octokit;
  /** The API with a person's token. */
  as(login: string): Octokit;
  asApp(): Octokit;
  /** An installation token; for the whole installation where nothing is said. */
  mint(wanted?: Wanted): Promise<string>;
}
interface Wanted {
  permissions?: Record<string, "read" | "write">;
  repository_ids?: number[];
}

/** `wrongs` are the differences that the test makes on purpose, all of them. */
export async function startTestGitHub({
  wrongs = [],
  ...options
}: Partial<GitHubOptions> & { wrongs?: string[] } = {}): Promise<TestGitHub> {
  const folder = await mkdtemp(join(tmpdir(), "agent-fix-github-"));
  const contract = createContract();
  const github = await startGitHub({
    dataDir: join(folder, "github"),
    app: { id: 77, slug: "fixer", webhookSecret, privateKey },
    onExchange: (exchange) => contract.onExchange(exchange),
    onDelivery: (delivery) => contract.onDelivery(delivery),
    ...options,
  });
  const withAuth = (auth?: string) => connect(github.apiUrl, auth);
  const asApp = () => withAuth(jwtOf(github));
  return Object.assign(Object.create(github) as EmbeddedGitHub, {
    folder,
    with: withAuth,
    as: (login: string) => withAuth(github.addUser(login)),
    asApp,
    async mint(wanted: Wanted = {}) {
      const [installation_id = 0] = github.state.installations.keys();
      return (await asApp().rest.apps.createInstallationAccessToken({ installation_id, ...wanted })).data.token;
    },
    async [Symbol.asyncDispose]() {
      await github[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
      expect([...contract.violations].sort(), "differences from GitHub's own description").toEqual(wrongs.toSorted());
    },
  });
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function connect(apiUrl: string, auth?: string): Octokit {
  return new Octokit({ baseUrl: apiUrl, log: silent, ...(auth === undefined ? {} : { auth }) });
}

/** Ann's repository with the app on it. */
export async function addShop(
  github: EmbeddedGitHub,
  more: Partial<NewRepository> & { installed?: boolean } = {},
): Promise<Repository> {
  const { installed = true, ...wanted } = more;
  const repository = await github.addRepository({ owner: "ann", name: "shop", files: { "a.txt": "one\n" }, ...wanted });
  if (installed) github.install({ repositories: [`ann/${repository.name}`] });
  // A test looks at what comes after.
  github.state.deliveries.length = 0;
  return repository;
}

export interface Forged {
  alg?: string;
  iss?: number;
  /** Seconds from now. */
  iat?: number;
  exp?: number;
  key?: string;
}

/** An app's own token, sound unless told otherwise. */
export function jwtOf(
  { app }: EmbeddedGitHub,
  { alg = "RS256", iss = app.id, iat = -30, exp = 300, key }: Forged = {},
) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg, typ: "JWT" })}.${encode({ iss, iat: now + iat, exp: now + exp })}`;
  if (alg === "none") return `${signed}.`;
  return `${signed}.${createSign("RSA-SHA256")
    .update(signed)
    .sign(key ?? app.privateKey, "base64url")}`;
}

/** What GitHub answered to a call that it refused. */
export async function refusal(call: Promise<unknown>): Promise<{ status: number; message: string; errors: unknown }> {
  try {
    await call;
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined) throw error;
    const { message, errors } = Object(Object(error).response?.data) as { message: string; errors: unknown };
    return { status, message, errors };
  }
  throw new Error("the call was not refused");
}

/** Runs git apart from this machine's configuration; never asks. */
export async function git(cwd: string, ...args: string[]): Promise<string> {
  const who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
  const env = { PATH: process.env["PATH"], HOME: cwd, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
  const { stdout } = await promisify(execFile)("git", [...who, ...args], { cwd, env });
  return stdout.trim();
}

/** What git says when it fails. */
export async function gitComplaint(cwd: string, ...args: string[]): Promise<string> {
  return git(cwd, ...args).then(
    () => {
      throw new Error(`git ${args[0]} did not fail`);
    },
    (error: unknown) => String(Object(error).stderr),
  );
}

/** A repository's address for git, with a token where there is one. */
export function remoteOf({ url }: EmbeddedGitHub, token?: string, name = "ann/shop"): string {
  const address = new URL(`${url}/${name}.git`);
  if (token !== undefined) Object.assign(address, { username: "x-access-token", password: token });
  return address.href;
}

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}
/** An app's side of the webhooks. */
export interface Receiver extends AsyncDisposable {
  url: string;
  received: Received[];
  /** What the next deliveries are answered; `never` leaves them waiting. */
  answer: number | "never";
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      if (receiver.answer !== "never") response.writeHead(receiver.answer, { location: "/elsewhere" }).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    answer: 200,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => void server.close(done));
    },
  };
  return receiver;
}
