import type { Forge } from "../../../src/forge.ts";
import { createGitHub } from "../../../src/github/client.ts";
import type { Issue, PullRequest, Repository } from "../../../src/demo/github/state.ts";
import { addShop, shop } from "../../demo/github/support.ts";
import type { TestGitHub } from "../../demo/github/support.ts";

/** Ann's repository as the app sees it, with what a run may do. */
export function forgeOf({ apiUrl, app, state }: TestGitHub, access: "publish" | "report" | "check" = "publish"): Forge {
  const { id = 0 } = state.repositories.get("ann/shop") ?? {};
  const [installationId = 0] = state.installations.keys();
  const { privateKey, webhookSecret } = app;
  const host = createGitHub({ apiUrl, throttle: false }, { id: app.id, privateKey, webhookSecret });
  return host.forge({ id, owner: "ann", name: "shop", installationId }, access);
}

export type Pull = Issue & { pull: PullRequest };

/** Ann's repository with pull request 1, which changes the second of three lines. */
export async function openPull(github: TestGitHub): Promise<{ repository: Repository; pull: Pull; head: string }> {
  const repository = await addShop(github, { files: { "a.txt": "one\ntwo\nthree\n" } });
  const commit = { branch: "topic", message: "Change", author: "ann" };
  const head = await github.push("ann/shop", { "a.txt": "one\n2\nthree\n" }, commit);
  await github.as("ann").rest.pulls.create({ ...shop, title: "t", head: "topic", base: "main" });
  const issue = repository.issues.get(1);
  if (issue?.pull === undefined) throw new Error("there is no pull request");
  return { repository, pull: { ...issue, pull: issue.pull }, head };
}
