import { mayWrite } from "../forge.ts";
import type { IntakeJob } from "../job.ts";
import { upkeep } from "../maintenance/upkeep.ts";
import type { IntakeDeps } from "./start.ts";

/** Looks after the repository now. Boxes count where whoever ticked them has write access. Safe to repeat. */
export async function onUpkeep(
  { repo, ticked: by }: Extract<IntakeJob, { kind: "upkeep" }>,
  deps: IntakeDeps,
): Promise<void> {
  const isAllowed = by === undefined || mayWrite(await deps.host.forge(repo, "report").permission(by.login));
  await upkeep(repo, deps, { ticked: isAllowed ? by : "refused" });
}
