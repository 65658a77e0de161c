import { SmeeClient } from "smee-client";
import { z } from "zod";
import { ConfigError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

/** Where deliveries come from and go to. */
interface Way {
  source: string;
  target: string;
  log: Log;
  /** For a connection to open and for a delivery to be taken. */
  limitMs: number;
  /** Between a connection that was closed for good and the next. */
  pauseMs: number;
}

/** A delivery as the proxy tells of it: its headers by their names, and its body. */
const delivery = z.looseObject({ body: z.unknown().refine((body) => body !== undefined) });
const passedOn = /^(?:x-(?:github|hub)-|user-agent$)/;

/**
 * Hands on to `target` what arrives at the webhook proxy, until disposed; a lost connection comes back. Throws a
 * ConfigError when the proxy can't be reached at the start.
 */
export async function forwardWebhooks(
  source: string,
  target: string,
  log: Log,
  { limitMs = 10_000, pauseMs = 5_000 }: { limitMs?: number; pauseMs?: number } = {},
): Promise<AsyncDisposable> {
  const way = { source, target, log, limitMs, pauseMs };
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  let open: SmeeClient;
  const onClosed = () => {
    if (!isOver) timer = setTimeout(() => void reopen(), pauseMs);
  };
  const reopen = async () => {
    try {
      const opened = await openChannel(way, onClosed);
      if (isOver) await opened.stop();
      else open = opened;
    } catch (error) {
      log.warn({ error: messageOf(error) }, "the webhook proxy can't be reached; it is tried again");
      onClosed();
    }
  };
  open = await openChannel(way, onClosed).catch((cause: unknown) => {
    throw new ConfigError(
      `WEBHOOK_PROXY_URL: ${source} can't be reached (${messageOf(cause)}). Give the address of a smee.io channel, or leave it unset.`,
      { cause },
    );
  });
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      clearTimeout(timer);
      await open.stop();
    },
  };
}

/** `onClosed`: it was open, and does not come back by itself. */
async function openChannel(way: Way, onClosed: () => void): Promise<SmeeClient> {
  const { source, target, log, limitMs } = way;
  const logger = {
    info: () => {},
    error: (message: unknown) => log.warn({ message: String(message) }, "the webhook proxy reported an error"),
  };
  // Its own forwarding ends the process at what is no delivery.
  const smee = new SmeeClient({ source, target, logger, forward: false });
  // Its own limit would also end a connection that is lost and on its way back at that moment.
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  try {
    const events = await Promise.race([smee.start(), late.promise]);
    events.addEventListener("message", ({ data }) => void handOn(String(data), way));
    events.addEventListener("error", () => {
      if (events.readyState === events.CLOSED) onClosed();
    });
    return smee;
  } catch (cause) {
    await smee.stop();
    throw cause instanceof Event && "message" in cause ? new Error(String(cause.message), { cause }) : cause;
  } finally {
    clearTimeout(timer);
  }
}

/** Never throws: what is no delivery is told of and dropped, and one that is refused comes back with the next sweep. */
async function handOn(told: string, { target, log, limitMs }: Way): Promise<void> {
  try {
    const { body, ...rest } = delivery.parse(JSON.parse(told));
    const passed = Object.entries(rest).filter(([name, value]) => passedOn.test(name) && typeof value === "string");
    const headers = { ...(Object.fromEntries(passed) as Record<string, string>), "content-type": "application/json" };
    const signal = AbortSignal.timeout(limitMs);
    const { status } = await fetch(target, { method: "POST", headers, body: JSON.stringify(body), signal });
    if (status >= 400) log.warn({ status }, "a delivery of the webhook proxy was refused");
  } catch (error) {
    log.warn({ error: messageOf(error) }, "what the webhook proxy sent could not be handed on");
  }
}
