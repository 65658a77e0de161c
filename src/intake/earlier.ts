import type { Forge } from "../forge.ts";
import { statusMark } from "../status.ts";
import { visibleText } from "../visible.ts";
import type { IntakeDeps } from "./start.ts";

/** Hands to a run what the one before it told people, and what one of them answered; empty for nothing. Safe to repeat. */
export async function tellEarlier(
  { inbox }: Pick<IntakeDeps, "inbox">,
  forge: Forge,
  number: number,
  { runId, by, answer }: { runId: string; by: string; answer: string },
): Promise<void> {
  const said = visibleText((await forge.findComment(number, statusMark))?.body ?? "").text;
  const isTold = (await inbox.read(runId)).some(({ kind }) => kind === "earlier");
  if (said !== "" && !isTold) await inbox.send(runId, { kind: "earlier", said, by, answer });
}
