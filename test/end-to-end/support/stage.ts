import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { startGitHub } from "../../../src/demo/github/server.ts";
import type { EmbeddedGitHub, GitHubOptions } from "../../../src/demo/github/server.ts";
import { createContract, expectNoViolations } from "../../support/contract.ts";

export const shop = { owner: "ann", repo: "shop" };

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Stage extends AsyncDisposable {
  folder: string;
  github: EmbeddedGitHub;
  page: Page;
  /** Keeps a picture in the folder that SCREENSHOTS names, for a person to look at. */
  see(name: string): Promise<void>;
}

/** The embedded GitHub, by default without an app, with ann's repository, and a page in the browser. */
export async function startStage(browser: Browser, app?: GitHubOptions["app"]): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), "agent-fix-pages-"));
  const contract = createContract();
  const github = await startGitHub({
    dataDir: join(folder, "github"),
    ...(app !== undefined && { app }),
    onExchange: (exchange) => contract.onExchange(exchange),
    onDelivery: (delivery) => contract.onDelivery(delivery),
  });
  await github.addRepository({ ...shop, name: "shop", files: { "sum.js": "export const sum = (a, b) => a - b;\n" } });
  const page = await browser.newPage();
  return {
    folder,
    github,
    page,
    async see(name) {
      const to = process.env["SCREENSHOTS"];
      if (to !== undefined) await page.screenshot({ path: join(to, `${name}.png`), fullPage: true });
    },
    async [Symbol.asyncDispose]() {
      await page.close();
      await github[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
      expectNoViolations(contract);
    },
  };
}
