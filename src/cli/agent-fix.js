#!/usr/bin/env node
// Starts the TypeScript sources under the project's own Node 24, from any folder and whichever Node found this file.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const own = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));
const main = fileURLToPath(new URL("main.ts", import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);
const fits = major > 24 || (major === 24 && minor >= 12);

if (fits) {
  await import(main);
} else if (existsSync(own)) {
  const child = spawn(own, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 1);
  });
} else {
  console.error(
    `agent-fix needs Node 24.12 or newer, and this is ${process.version}. Run \`npm ci\` in the project: it brings its own Node.`,
  );
  process.exitCode = 2;
}
