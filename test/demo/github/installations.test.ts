import { expect, it } from "vitest";
import { addShop, startTestGitHub } from "./support.ts";
import type { TestGitHub } from "./support.ts";

it("tells the app where it was installed, and of each repository that is added later, whatever it subscribed to", async () => {
  await using github = await startTestGitHub({
    app: { id: 77, slug: "fixer", webhookSecret: "secret", events: ["push"] },
  });
  for (const name of ["shop", "store", "depot"]) await addShop(github, { name, installed: false });

  github.install({ repositories: ["ann/shop"] });
  github.install({ repositories: ["ann/shop", "ann/store", "ann/depot"] });
  github.install({ repositories: ["ann/store"] });

  const [[id] = []] = github.state.installations;
  expect(told(github)).toMatchObject([
    {
      event: "installation",
      action: "created",
      installation: { id, account: { login: "ann" }, permissions: { contents: "write" } },
      repositories: [{ full_name: "ann/shop" }],
      sender: { login: "ann" },
    },
    {
      event: "installation_repositories",
      action: "added",
      installation: { id },
      repositories_added: [{ full_name: "ann/store" }, { full_name: "ann/depot" }],
      repositories_removed: [],
    },
  ]);
});

it("lists what it told of an installation among the deliveries, without a repository", async () => {
  await using github = await startTestGitHub();
  await addShop(github, { installed: false });
  github.install({ repositories: ["ann/shop"] });
  const listed = async () => (await github.asApp().rest.apps.listWebhookDeliveries()).data;

  await expect.poll(listed).toMatchObject([{ event: "installation", action: "created", repository_id: null }]);
});

/** What was sent, oldest first. */
function told({ state }: TestGitHub): Record<string, unknown>[] {
  return state.deliveries
    .toReversed()
    .map(({ event, payload }) => ({ event, ...(JSON.parse(payload) as Record<string, unknown>) }));
}
