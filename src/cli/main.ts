import { Command } from "commander";
import { ConfigError, messageOf } from "../errors.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { resolveCommand } from "./resolve.ts";
import { runsCommand } from "./runs.ts";
import { upCommand } from "./up.ts";
import { webCommand, workerCommand } from "./roles.ts";

const lingerMs = 3000;
const program = new Command("agent-fix")
  .description("Turns a labelled GitHub issue into a tested pull request, with an open-weights model on your own GPU")
  .showHelpAfterError()
  .exitOverride();
for (const command of [upCommand, webCommand, workerCommand, resolveCommand, doctorCommand, demoCommand, runsCommand]) {
  program.addCommand(throwing(command()));
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = explain(error);
}
// What still holds the process, such as a client that waits for a Redis that is gone, has nothing left to do.
setTimeout(() => process.exit(), lingerMs).unref();

/** commander ends the process itself unless each command, at every depth, is told to throw. */
function throwing(command: Command): Command {
  command.commands.forEach(throwing);
  return command.exitOverride();
}

/** Says what went wrong, and gives the exit code: 0 for help, 2 for wrong usage or configuration, else 1. */
function explain(error: unknown): number {
  if (error instanceof Error && "exitCode" in error && typeof error.exitCode === "number")
    return error.exitCode === 0 ? 0 : 2;
  console.error(`agent-fix: ${messageOf(error)}`);
  return error instanceof ConfigError ? 2 : 1;
}
