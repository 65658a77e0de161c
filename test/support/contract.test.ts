import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Exchange } from "../../src/demo/github/exchange.ts";
import { buildContract, contractFile } from "./build-contract.ts";
import { createContract, expectNoViolations } from "./contract.ts";

const sha = "a".repeat(40);
const address = "https://github.example/api/v3/repos/octo/shop/git/refs/heads/fix";
const ref = {
  ref: "refs/heads/fix",
  node_id: "REF_1",
  url: address,
  object: { type: "commit", sha, url: "https://github.example/api/v3/repos/octo/shop/git/commits/1" },
};
const createRef: Exchange = {
  method: "POST",
  path: "/repos/octo/shop/git/refs",
  query: {},
  mediaType: "application/json",
  body: { ref: "refs/heads/fix", sha },
  status: 201,
  answer: ref,
};
const listPulls: Exchange = {
  ...createRef,
  method: "GET",
  path: "/repos/octo/shop/pulls",
  query: { state: "open", head: "octo:fix", per_page: "100" },
  body: undefined,
  status: 200,
  answer: [],
};
const commit = {
  sha,
  node_id: "C_1",
  url: address,
  html_url: address,
  author: { name: "Ada", email: "ada@example.com", date: "2026-01-02T03:04:05Z" },
  committer: { name: "Ada", email: "ada@example.com", date: "2026-01-02T03:04:05Z" },
  message: "Mend the total",
  tree: { sha, url: address },
  parents: [],
  verification: { verified: false, reason: "unsigned", signature: null, payload: null, verified_at: null },
};
const getCommit: Exchange = { ...listPulls, path: `/repos/octo/shop/git/commits/${sha}`, query: {}, answer: commit };

const person = {
  login: "ada",
  id: 1,
  node_id: "U_1",
  gravatar_id: "",
  type: "User",
  site_admin: false,
  ...Object.fromEntries(
    ["avatar", "html", "followers", "subscriptions", "organizations", "repos", "received_events"].map((name) => [
      `${name}_url`,
      `https://github.example/ada/${name}`,
    ]),
  ),
  url: "https://github.example/api/v3/users/ada",
  following_url: "https://github.example/api/v3/users/ada/following{/other_user}",
  gists_url: "https://github.example/api/v3/users/ada/gists{/gist_id}",
  starred_url: "https://github.example/api/v3/users/ada/starred{/owner}{/repo}",
  events_url: "https://github.example/api/v3/users/ada/events{/privacy}",
};
const installation = {
  id: 3,
  account: person,
  app_id: 7,
  app_slug: "agent-fix",
  target_id: 1,
  target_type: "User",
  single_file_name: null,
  repository_selection: "selected",
  access_tokens_url: address,
  html_url: address,
  repositories_url: address,
  events: ["issues"],
  permissions: { issues: "write" },
  created_at: "2026-01-02T03:04:05Z",
  updated_at: "2026-01-02T03:04:05Z",
  suspended_by: null,
  suspended_at: null,
};

function violationsOf(exchange: Exchange): readonly string[] {
  const contract = createContract();
  contract.onExchange(exchange);
  return contract.violations;
}

describe("an exchange as GitHub documents it passes", () => {
  test.each<[string, Exchange]>([
    ["a body and an answer with all that GitHub names", createRef],
    ["a number in the query, which travels as text", listPulls],
    ["null in fields that may be null", getCommit],
    [
      "a branch's name with its slashes encoded",
      { ...createRef, method: "PATCH", path: "/repos/octo/shop/git/refs/heads%2Ffix", body: { sha }, status: 200 },
    ],
    [
      "a branch's name with its slashes bare",
      { ...createRef, method: "PATCH", path: "/repos/octo/shop/git/refs/heads/fix", body: { sha }, status: 200 },
    ],
    [
      "an app that is installed on a person's account",
      { ...listPulls, path: "/app/installations", query: {}, answer: [installation] },
    ],
    ["an issue's body set to null", { ...editIssue({ body: null, state_reason: null }), ...refused(404) }],
    ["a diff, which is text", { ...getPull(), mediaType: "application/vnd.github.diff", answer: undefined }],
    [
      "an answer without content",
      { ...listPulls, method: "DELETE", path: "/installation/token", query: {}, ...empty(204) },
    ],
    ["an undocumented 401 with GitHub's error body", { ...listPulls, ...refused(401) }],
    ["an outage that a test makes", { ...listPulls, ...empty(502), mediaType: "text/html" }],
  ])("%s", (_, exchange) => {
    expect(violationsOf(exchange)).toEqual([]);
  });
});

describe("a difference from GitHub's description is found", () => {
  test.each<[string, Exchange, string]>([
    [
      "a body of the wrong type",
      { ...createRef, body: { ref: 7, sha } },
      "git/create-ref: the request's body at /ref must be string",
    ],
    [
      "a body without a required property",
      { ...createRef, body: { sha } },
      "git/create-ref: the request's body must have required property 'ref'",
    ],
    [
      "no body where one is required",
      { ...createRef, body: undefined },
      "git/create-ref: the request has no body, and GitHub requires one",
    ],
    [
      "a body where none is taken",
      { ...listPulls, body: {} },
      "pulls/list: the request has a body, and GitHub takes none",
    ],
    [
      "a property of the body that GitHub does not know",
      { ...createRef, body: { ref: "refs/heads/fix", sha, key: "x" } },
      'git/create-ref: the request\'s body has "key", which GitHub does not document',
    ],
    [
      "an unknown property inside a branch of the body",
      { ...editIssue({ labels: [{ name: "bug", colour: "red" }] }), ...refused(404) },
      'issues/update: the request\'s body at /labels/0 has "colour", which GitHub does not document',
    ],
    [
      "an unknown property in what the body refers to",
      {
        ...createRef,
        path: "/app/installations/3/access_tokens",
        body: { permissions: { contentz: "write" } },
        ...refused(422, { documentation_url: address }),
      },
      'apps/create-installation-access-token: the request\'s body at /permissions has "contentz", which GitHub does not document',
    ],
    [
      "an unknown query parameter",
      { ...listPulls, query: { labels: "bug" } },
      'pulls/list: the query has "labels", which GitHub does not document',
    ],
    [
      "a value that a query parameter does not take",
      { ...listPulls, query: { state: "merged" } },
      "pulls/list: the query at /state must be equal to one of the allowed values: open, closed, all",
    ],
    [
      "a word in the path where a number belongs",
      { ...getPull("one"), ...refused(404) },
      "pulls/get: the path at /pull_number must be integer",
    ],
    [
      "a status that GitHub does not document",
      { ...listPulls, ...refused(418) },
      "pulls/list: GitHub documents no answer 418",
    ],
    [
      "an error without GitHub's error body",
      { ...listPulls, ...refused(404), answer: { error: "gone" } },
      "pulls/list: the answer 404 must have required property 'message'",
    ],
    [
      "an answer that lacks a field",
      { ...createRef, answer: { ...ref, node_id: undefined } },
      "git/create-ref: the answer 201 must have required property 'node_id'",
    ],
    [
      "an answer with a badly formed date",
      { ...getCommit, answer: { ...commit, author: { ...commit.author, date: "yesterday" } } },
      'git/get-commit: the answer 200 at /author/date must match format "date-time"',
    ],
    [
      "an answer with null where GitHub never has it",
      { ...getCommit, answer: { ...commit, message: null } },
      "git/get-commit: the answer 200 at /message must be string",
    ],
    [
      "an answer without its body",
      { ...getCommit, answer: undefined },
      "git/get-commit: the answer 200 has no JSON body, and GitHub's has one",
    ],
    [
      "a call that is not built",
      { ...listPulls, ...refused(501) },
      "GET /repos/octo/shop/pulls: the embedded GitHub answered 501: this call is not built",
    ],
    [
      "a call that GitHub does not have",
      { ...listPulls, path: "/repos/octo/shop/merge-requests" },
      "GET /repos/octo/shop/merge-requests: GitHub has no such call",
    ],
  ])("%s", (_, exchange, violation) => {
    expect(violationsOf(exchange)).toContain(violation);
  });

  test("the same difference is told once, and fails the test that asks", () => {
    const contract = createContract();

    contract.onExchange({ ...listPulls, query: { labels: "bug" } });
    contract.onExchange({ ...listPulls, query: { labels: "chore" } });

    expect(contract.violations).toHaveLength(1);
    expect(() => expectNoViolations(contract)).toThrow("differences from GitHub's own description");
  });
});

describe("a webhook's payload is held against GitHub's schema", () => {
  test("a payload as GitHub sends it passes", () => {
    expect(deliver("github_app_authorization", { action: "revoked", sender: person })).toEqual([]);
  });

  test.each<[string, string, unknown, string]>([
    [
      "a missing field",
      "github_app_authorization",
      { action: "revoked" },
      "webhook github_app_authorization.revoked: the payload must have required property 'sender'",
    ],
    [
      "a field that the event does not have",
      "github_app_authorization",
      { action: "revoked", sender: { ...person, user_view_type: "public" } },
      'webhook github_app_authorization.revoked: the payload at /sender has "user_view_type", which GitHub does not document',
    ],
    [
      "an action that the event does not have",
      "issues",
      { action: "solved" },
      "webhook issues.solved: GitHub sends no such event",
    ],
    ["an empty push", "push", {}, "webhook push.(no action): the payload must have required property 'ref'"],
  ])("%s is found", (_, event, payload, violation) => {
    expect(deliver(event, payload)).toContain(violation);
  });
});

describe("GitHub's description comes from set-up", () => {
  test("without it, the error names the command that makes it", () => {
    expect(() => createContract("/nowhere/github.json")).toThrow("Run: sh setup.sh --test");
  });

  test("where it is present, nothing is fetched", async () => {
    expect(await buildContract(contractFile())).toBe("present");
  });

  test("where no registry answers, set-up ends with the remedy and leaves nothing behind", async () => {
    const dir = await mkdtemp(join(tmpdir(), "agent-fix-contract-test-"));
    const file = join(dir, "contract", "github.json");
    const build = `await (await import(${JSON.stringify(join(import.meta.dirname, "build-contract.ts"))})).buildContract(${JSON.stringify(file)})`;
    const env = {
      ...process.env,
      npm_config_registry: "http://127.0.0.1:9/",
      npm_config_cache: join(dir, "npm"),
      npm_config_fetch_retries: "0",
      TMPDIR: dir,
    };
    try {
      const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", build], { env });

      await expect(run).rejects.toThrow('"npm ping" must answer: see "npm config get registry"');

      expect(existsSync(file)).toBe(false);
      expect((await readdir(dir)).filter((name) => name.startsWith("agent-fix-contract-"))).toEqual([]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

function deliver(event: string, payload: unknown): readonly string[] {
  const contract = createContract();
  contract.onDelivery({ event, payload });
  return contract.violations;
}

function getPull(number = "1"): Exchange {
  return { ...listPulls, path: `/repos/octo/shop/pulls/${number}`, query: {} };
}

function editIssue(body: unknown): Exchange {
  return { ...listPulls, method: "PATCH", path: "/repos/octo/shop/issues/1", query: {}, body };
}

function refused(status: number, more: object = {}): Pick<Exchange, "status" | "answer"> {
  return { status, answer: { message: "No", ...more } };
}

function empty(status: number): Pick<Exchange, "status" | "answer"> {
  return { status, answer: undefined };
}
