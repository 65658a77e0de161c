import { Octokit } from "@octokit/rest";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { ensurePull } from "../../../src/github/pulls.ts";

const name = { owner: "o", repo: "r" };
const wanted = { branch: "topic", base: "main", title: "t", body: "b", draft: true };
const shown = {
  number: 1,
  html_url: "http://host/o/r/pull/1",
  title: "t",
  body: "b",
  state: "open",
  user: { login: "agent-fix[bot]" },
  base: { ref: "main" },
  head: { ref: "topic", sha: "a".repeat(40) },
  labels: [],
  merged_at: null,
  created_at: "2026-01-01T00:00:00Z",
  closed_at: null,
};

it("opens a draft as ready where the repository can't have drafts", async () => {
  await using github = await startGitHub((draft) => !draft);

  expect(await ensurePull(github.octokit, name, wanted, "agent-fix[bot]")).toMatchObject({ number: 1, state: "open" });
  expect(github.asked).toEqual([true, false]);
});

it("asks once for a draft where there are drafts, and once where it is refused for anything else", async () => {
  await using open = await startGitHub(() => true);
  await using closed = await startGitHub(() => false);

  await ensurePull(open.octokit, name, wanted, "agent-fix[bot]");
  const refused = ensurePull(closed.octokit, name, { ...wanted, draft: false }, "agent-fix[bot]");

  await expect(refused).rejects.toThrow("Validation Failed");
  expect([open.asked, closed.asked]).toEqual([[true], [false]]);
});

/** A host without pull requests that takes those of which `takes` is true, and remembers which were to be drafts. */
async function startGitHub(takes: (draft: boolean) => boolean) {
  const asked: boolean[] = [];
  const server = createServer((request, response) => {
    const send = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    let text = "";
    request.on("data", (piece: Buffer) => (text += piece.toString()));
    request.on("end", () => {
      if (request.method === "GET") return void send(200, []);
      const { draft } = JSON.parse(text) as { draft: boolean };
      asked.push(draft);
      if (takes(draft)) send(201, shown);
      else send(422, { message: "Validation Failed" });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  return {
    asked,
    octokit: new Octokit({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, log }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
