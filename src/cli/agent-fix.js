#!/usr/bin/env node
// Starts the TypeScript sources under the project's own Node 24, from any folder and whichever Node found this file.
// `up` is started again after a crash: what it had in work goes on from the queue.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const own = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));
const main = fileURLToPath(new URL("main.ts", import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);
const fits = major > 24 || (major === 24 && minor >= 12);
const node = fits ? process.execPath : own;
const args = process.argv.slice(2);
const isService = args[0] === "up";
/** As in crash.ts. */
const crashCode = 70;
const pauseMs = 5_000;

if (!existsSync(node)) {
  console.error(
    `agent-fix needs Node 24.12 or newer, and this is ${process.version}. Run \`npm ci\` in the project: it brings its own Node.`,
  );
  process.exitCode = 2;
} else if (fits && !isService) {
  await import(main);
} else {
  startChild();
}

function startChild() {
  // By its channel the child sees when this process is gone.
  const child = spawn(node, [main, ...args], { stdio: ["inherit", "inherit", "inherit", "ipc"] });
  let isStopping = false;
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"].map((signal) => {
    const passOn = () => {
      isStopping = true;
      child.kill(signal);
    };
    process.on(signal, passOn);
    return { signal, passOn };
  });
  child.on("exit", (code, signal) => {
    for (const one of signals) process.off(one.signal, one.passOn);
    if (isService && !isStopping && (code === crashCode || signal !== null)) {
      console.error(
        `agent-fix: the process ended unexpectedly (${signal ?? code}) and starts again in ${pauseMs / 1000} s`,
      );
      setTimeout(startChild, pauseMs);
    } else process.exitCode = code ?? 128 + (constants.signals[signal] ?? 1);
  });
}
