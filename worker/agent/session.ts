import type { ModelClient, OnWaiting } from "./model.ts";

/** A model as one run asks it. */
export interface SessionOptions {
  /** The run's id. */
  id: string;
  onWaiting: OnWaiting;
}

/** The client for one run: a router keeps its requests on one server, and all that is waited for is told. */
export function openSession(model: ModelClient, { id, onWaiting }: SessionOptions): ModelClient {
  return {
    describe: (signal) => model.describe(signal, onWaiting),
    reply: (request) => model.reply({ ...request, session: id, onWaiting }),
  };
}
