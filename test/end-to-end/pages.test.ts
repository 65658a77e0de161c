import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "../../src/config.ts";
import { createGitHub } from "../../src/github/client.ts";
import { personOn } from "./support/laptop.ts";
import { launchBrowser, shop, startStage } from "./support/stage.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
});

const evidence = `The sum was **wrong**.

| check | before | after |
|---|---|---|
| \`npm test\` | red | green |

<details><summary>What the check said</summary>

\`\`\`
expected 3
\`\`\`

</details>

<!-- agent-fix: {"state":"done"} -->`;

describe("the embedded GitHub in a browser", () => {
  it("shows an issue with its labels, and comments as Markdown with folded details", async () => {
    await using stage = await startStage(browser);
    const { page, github } = stage;
    const { rest } = personOn(github, "ann");
    await rest.issues.create({ ...shop, title: "Sums are <wrong>", body: "See `sum.js`", labels: ["agent-fix"] });
    await rest.issues.createComment({ ...shop, issue_number: 1, body: evidence });

    await page.goto(github.url);
    await page.getByRole("link", { name: "ann/shop" }).click();
    await page.getByRole("link", { name: "Sums are <wrong>" }).click();

    await stage.see("issue");
    await expect.poll(() => page.getByRole("heading", { level: 1 }).textContent()).toBe("Sums are <wrong> #1");
    expect(await page.locator(".label").allTextContents()).toEqual(["agent-fix"]);
    const [body, comment] = await page.getByRole("article").all();
    expect(await body?.locator("code").textContent()).toBe("sum.js");
    expect(await comment?.getByRole("cell").allTextContents()).toEqual(["npm test", "red", "green"]);
    expect(await comment?.textContent()).not.toContain("state");
    const folded = page.getByText("expected 3");
    expect(await folded.isVisible()).toBe(false);
    await page.getByText("What the check said").click();
    await expect.poll(() => folded.isVisible()).toBe(true);
  });

  it("shows a pull request with its branches, reviews and diff", async () => {
    await using stage = await startStage(browser);
    const { page, github } = stage;
    await github.push(
      "ann/shop",
      { "sum.js": "export const sum = (a, b) => a + b;\n", "html.txt": "<b>no tag</b>\n" },
      { branch: "agent-fix/issue-1", message: "Mend", author: "ann" },
    );
    const { rest } = personOn(github, "ann");
    await rest.pulls.create({
      ...shop,
      title: "Add, not subtract",
      body: evidence,
      head: "agent-fix/issue-1",
      base: "main",
    });
    await personOn(github, "bob").rest.pulls.createReview({
      ...shop,
      pull_number: 1,
      event: "REQUEST_CHANGES",
      body: "Nearly",
      comments: [{ path: "sum.js", line: 1, body: "And a test?" }],
    });
    const [first] = (await rest.pulls.listReviewComments({ ...shop, pull_number: 1 })).data;
    const comment_id = first?.id ?? 0;
    await rest.pulls.createReplyForReviewComment({ ...shop, pull_number: 1, comment_id, body: "It is there." });
    github.state.repositories.get("ann/shop")?.issues.get(1)?.pull?.resolved.add(comment_id);

    await page.goto(`${github.url}/ann/shop/pull/1`);

    await stage.see("pull");
    expect(await page.getByRole("main").textContent()).toContain("wants to merge agent-fix/issue-1 into main");
    expect(await page.locator("main > article").allTextContents()).toEqual([
      expect.stringContaining("The sum was wrong."),
      expect.stringMatching(/bob reviewed: changes requested.*Nearly/s),
      expect.stringMatching(/sum\.js:1\s+resolved.*\+export const sum.*bob\s*And a test\?.*ann\s*It is there\./s),
    ]);
    const changed = page.locator("h2 + .diff");
    expect(await changed.locator(".removed").allTextContents()).toEqual(["-export const sum = (a, b) => a - b;"]);
    expect(await changed.locator(".added").allTextContents()).toEqual([
      "+<b>no tag</b>",
      "+export const sum = (a, b) => a + b;",
    ]);
  });

  it("runs nothing and loads nothing that a body holds", async () => {
    await using stage = await startStage(browser);
    const { page, github } = stage;
    const elsewhere = "http://127.0.0.1:9";
    const hostile = `<script>document.title = "run"</script>
<img src="${elsewhere}/a.png" onerror="document.title = 'run'">
<svg onload="document.title = 'run'"></svg>
<meta http-equiv="refresh" content="0;url=${elsewhere}/">
<iframe src="${elsewhere}/frame"></iframe>
<style>@import "${elsewhere}/a.css"; body { display: none }</style>
<link rel="stylesheet" href="${elsewhere}/b.css">
<base href="${elsewhere}/">

[press me](javascript:document.title='run') ![image](${elsewhere}/b.png)`;
    const { rest } = personOn(github, "ann");
    await rest.issues.create({ ...shop, title: "</title><script>document.title='run'</script>", body: hostile });
    await rest.issues.createComment({ ...shop, issue_number: 1, body: hostile });
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));

    await page.goto(`${github.url}/ann/shop/issues/1`, { waitUntil: "networkidle" });
    await page.getByText("press me").first().click();

    await stage.see("hostile");
    expect(await page.title()).toBe("</title><script>document.title='run'</script> #1");
    expect(page.url()).toBe(`${github.url}/ann/shop/issues/1`);
    expect(asked.filter((url) => !url.startsWith(github.url))).toEqual([]);
    expect(await page.locator("main script, main img, main svg, main iframe, main style, main link").count()).toBe(0);
    expect(await page.getByText("press me").first().isVisible()).toBe(true);
  });
});

describe("agent-fix up without credentials", () => {
  it("has GitHub create the app, keeps its credentials, and takes the first webhook with them", async () => {
    await using stage = await startStage(browser);
    const { page, github, folder } = stage;
    const dataDir = join(folder, "data");
    const port = await freePort();
    const settings = {
      GHE_HOST: new URL(github.url).host,
      GHE_PROTOCOL: "http",
      DATA_DIR: dataDir,
      PORT: String(port),
    };
    await using up = startUp(settings);
    const address = await up.says(/Open (\S+) in a browser/);

    await page.goto(address);
    await stage.see("start");
    await page.getByRole("button", { name: "Create the app on GitHub" }).click();
    await stage.see("github");
    expect(await page.getByRole("main").textContent()).toContain(
      `Webhooks go to http://127.0.0.1:${port}/api/github/webhooks`,
    );
    await page.getByRole("button", { name: "Create GitHub App" }).click();
    await page.getByRole("heading", { name: "The app exists" }).waitFor();
    await stage.see("done");

    const install = await page.getByRole("link", { name: "install it on a repository" }).getAttribute("href");
    expect(install).toBe(`${github.url}/apps/agent-fix/installations/new`);
    await up.says(/agent-fix is up at (\S+)\./);
    const file = join(dataDir, "app.json");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const config = readConfig(settings, {});
    expect(config.app).toEqual(JSON.parse(await readFile(file, "utf8")));
    expect(config.app?.webhookSecret).toMatch(/^[\da-f]{40}$/);
    const { id = 0, privateKey = "", webhookSecret = "" } = config.app ?? {};
    // The same secret in WEBHOOK_SECRET passes for strong.
    expect(
      readConfig({ ...settings, APP_ID: String(id), PRIVATE_KEY: privateKey, WEBHOOK_SECRET: webhookSecret }, {}).app,
    ).toEqual(config.app);
    const host = createGitHub({ apiUrl: config.github.apiUrl, throttle: false }, { id, privateKey, webhookSecret });
    expect(await host.app()).toEqual({
      id: github.app.id,
      slug: "agent-fix",
      botLogin: "agent-fix[bot]",
      url: `${github.url}/apps/agent-fix`,
      lacks: [],
    });
    github.install({ repositories: ["ann/shop"] });
    await personOn(github, "ann").rest.issues.create({ ...shop, title: "It breaks" });
    await expect.poll(() => github.state.deliveries.map((one) => one.statusCode)).toEqual([200, 200]);
  });

  it("takes no code from a link that it did not make", async () => {
    await using stage = await startStage(browser);
    const settings = {
      GHE_HOST: new URL(stage.github.url).host,
      GHE_PROTOCOL: "http",
      DATA_DIR: join(stage.folder, "data"),
      PORT: String(await freePort()),
    };
    await using up = startUp(settings);
    const address = await up.says(/Open (\S+) in a browser/);

    const answer = await fetch(`${address}/setup/created?code=x&state=y`);

    expect(answer.status).toBe(400);
    expect(readConfig(settings, {}).app).toBeUndefined();
  });
});

interface Up extends AsyncDisposable {
  /** Waits for a line of its output; returns the part in parentheses. */
  says(line: RegExp): Promise<string>;
}

/** The command itself, as a newcomer starts it. */
function startUp(settings: Record<string, string>): Up {
  const launcher = fileURLToPath(new URL("../../src/cli/agent-fix.js", import.meta.url));
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, [launcher, "up"], {
    env: { PATH, HOME, LOG_LEVEL: "fatal", ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
  return {
    async says(line) {
      const found = () => said.map((one) => line.exec(one)?.[1]).find((part) => part !== undefined);
      await expect.poll(found, { timeout: 60_000 }).toBeDefined();
      return found() ?? "";
    },
    async [Symbol.asyncDispose]() {
      expect(await end(child), "the exit code of agent-fix up").toBe(0);
    },
  };
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const closed = once(child, "close");
  child.kill("SIGTERM");
  await closed;
  return child.exitCode;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => void server.close(done));
  return port;
}
