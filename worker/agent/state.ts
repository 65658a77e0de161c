import type { ModelState } from "../../src/model-state.ts";
import type { ModelClient, OnWaiting } from "./model.ts";

/** It is told again that nothing changed, but no more often. */
const tellAgainMs = 3600_000;

/**
 * The same client, which tells when requests begin to wait for the server, and when it answers again; and once in an hour
 * of requests that it is still so.
 */
export function withState(model: ModelClient, onChange: (state: ModelState) => void): ModelClient {
  let name = "";
  let told: string | undefined = "nothing";
  let since = "";
  let toldAt = 0;

  function tell(waitsFor: string | undefined): void {
    const now = Date.now();
    if (waitsFor === told && now - toldAt < tellAgainMs) return;
    const asked = new Date(now).toISOString();
    if (waitsFor !== told) since = asked;
    told = waitsFor;
    toldAt = now;
    onChange({ name, since, asked, ...(waitsFor !== undefined && { waitsFor }) });
  }

  function telling(onWaiting: OnWaiting | undefined): OnWaiting {
    return (reason) => {
      tell(reason);
      onWaiting?.(reason);
    };
  }

  return {
    async describe(signal, onWaiting) {
      const served = await model.describe(signal, telling(onWaiting));
      name = served.name;
      tell(undefined);
      return served;
    },
    async reply(request) {
      const reply = await model.reply({ ...request, onWaiting: telling(request.onWaiting) });
      tell(undefined);
      return reply;
    },
  };
}
