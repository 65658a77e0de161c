import type { State } from "./state.ts";

/** Which calls of the app: a method, and patterns of the path below `/api/v3` (`/api` for GraphQL) and of the body. */
export interface Calls {
  method: string;
  path: RegExp;
  body?: RegExp;
}

export interface Limit {
  /** The primary one says when it ends in `x-ratelimit-reset`, the secondary one in `retry-after`. */
  kind: "primary" | "secondary";
  status: 403 | 429;
  /** How long the app is refused, in seconds. */
  seconds: number;
}
/** What became of a limit. */
export interface Limited {
  /** Calls that were refused; the first of them is the one that met the limit. */
  refused: number;
}

/** What goes wrong at GitHub, on request. It concerns calls of the app, and none of people. */
export interface Faults {
  /** The next such call is carried out, and answered with a 502. */
  loseAnswer(calls: Calls): void;
  /** From the next such call on, the app's installations are refused for a time. */
  limit(calls: Calls, limit: Limit): Limited;
  /** Something happens right before the next such call is carried out. */
  before(calls: Calls, act: () => void | Promise<void>): void;
  /** No installation token for the repository (`owner/name`), or none at all, is good any longer; new ones are. */
  expireTokens(repository?: string): void;
}

/** A call as it arrives. */
export interface Arrival {
  method: string;
  path: string;
  body: string;
  authorization: string;
}
/** The server's side of it: what is to happen to a call. */
export interface FaultyWire extends Faults {
  /** An answer in place of the call's own, if any. */
  refusalOf(call: Arrival): Promise<Response | undefined>;
  /** Whether the answer of a call that was carried out gets lost. */
  loses(call: Arrival): boolean;
}

export function createFaults(state: State): FaultyWire {
  const lost: Calls[] = [];
  const acts: { calls: Calls; act: () => void | Promise<void> }[] = [];
  const waiting: { calls: Calls; start: () => void }[] = [];
  let limited: (Limit & { until: number; told: Limited }) | undefined;

  return {
    loseAnswer: (calls) => void lost.push(calls),
    before: (calls, act) => void acts.push({ calls, act }),
    limit(calls, limit) {
      const told = { refused: 0 };
      waiting.push({ calls, start: () => (limited = { ...limit, until: Date.now() + limit.seconds * 1000, told }) });
      return told;
    },
    expireTokens(repository) {
      for (const [value, { repositories }] of state.installationTokens)
        if (repository === undefined || repositories.has(repository)) state.installationTokens.delete(value);
    },

    async refusalOf(call) {
      if (isPersons(call)) return undefined;
      await take(acts, call, ({ calls }) => calls)?.act();
      take(waiting, call, ({ calls }) => calls)?.start();
      if (limited === undefined || limited.until <= Date.now() || !isInstallations(call)) return undefined;
      limited.told.refused++;
      return limited.kind === "secondary" ? secondary(limited) : primary(limited, call.path === "/graphql");
    },
    loses: (call) => !isPersons(call) && take(lost, call, (calls) => calls) !== undefined,
  };
}

function isPersons({ authorization }: Arrival): boolean {
  return authorization.includes("ghp_");
}

function isInstallations({ authorization }: Arrival): boolean {
  return authorization.includes("ghs_");
}

/** Takes the first that is about the call out of the list. */
function take<T>(list: T[], call: Arrival, of: (one: T) => Calls): T | undefined {
  const found = list.findIndex((one) => {
    const { method, path, body = /^/ } = of(one);
    return method === call.method && path.test(call.path) && body.test(call.body);
  });
  return found === -1 ? undefined : list.splice(found, 1)[0];
}

const documentation = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";

function secondary({ status, until }: { status: number; until: number }): Response {
  const message =
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID.";
  const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
  const body = { message, documentation_url: `${documentation}#about-secondary-rate-limits`, status: String(status) };
  return Response.json(body, { status, headers: { "retry-after": String(seconds) } });
}

function primary({ status, until }: { status: number; until: number }, isGraphql: boolean): Response {
  const message = "API rate limit exceeded for installation.";
  const headers = {
    "x-ratelimit-limit": "5000",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": String(Math.ceil(until / 1000)),
  };
  if (isGraphql) return Response.json({ errors: [{ type: "RATE_LIMITED", message }] }, { headers });
  return Response.json({ message, documentation_url: documentation, status: String(status) }, { status, headers });
}
