import type { ModelState } from "../../src/model-state.ts";
import type { ModelClient, OnWaiting } from "./model.ts";

/** The same client, which tells when requests begin to wait for the server, and when it answers again. */
export function withState(model: ModelClient, onChange: (state: ModelState) => void): ModelClient {
  let name = "";
  let told: string | undefined = "nothing";

  function tell(waitsFor: string | undefined): void {
    if (waitsFor === told) return;
    told = waitsFor;
    onChange({ name, since: new Date().toISOString(), ...(waitsFor !== undefined && { waitsFor }) });
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
