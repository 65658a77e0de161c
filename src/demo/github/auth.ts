import { createVerify, randomBytes } from "node:crypto";
import { Failure, notFound } from "./failure.ts";
import { fullName } from "./state.ts";
import type {
  Account,
  App,
  Installation,
  InstallationToken,
  Level,
  Permissions,
  Repository,
  Role,
  State,
} from "./state.ts";

/** Who asks. */
export type Caller =
  | { kind: "nobody" }
  | { kind: "app"; app: App }
  | { kind: "user"; account: Account }
  | { kind: "installation"; account: Account; token: InstallationToken; value: string };

/** GitHub's limit for an app's own token, in seconds. No clock drift is forgiven: both sides have the same clock. */
const longestJwt = 600;

/** From an `Authorization` header. Throws 401 for what GitHub does not know. */
export function callerOf(state: State, header: string | undefined): Caller {
  if (header === undefined || header === "") return { kind: "nobody" };
  const [scheme = "", value = ""] = header.split(" ");
  if (scheme.toLowerCase() === "basic") return tokenCaller(state, passwordOf(value));
  return value.split(".").length === 3 ? jwtCaller(state, value) : tokenCaller(state, value);
}

function passwordOf(basic: string): string {
  const [, ...password] = Buffer.from(basic, "base64").toString("utf8").split(":");
  return password.join(":");
}

function tokenCaller(state: State, value: string): Caller {
  const user = state.userTokens.get(value);
  if (user !== undefined) return { kind: "user", account: user };
  const token = state.installationTokens.get(value);
  if (token === undefined || token.expiresAt.getTime() <= Date.now() || state.app === undefined)
    throw new Failure(401, "Bad credentials");
  if (token.installation.suspendedAt !== null) throw suspended();
  return { kind: "installation", account: state.app.bot, token, value };
}

function jwtCaller(state: State, jwt: string): Caller {
  const [header = "", payload = "", signature = ""] = jwt.split(".");
  const head = decode(header);
  const { iss, iat, exp } = decode(payload);
  const now = Date.now() / 1000;
  if (head["alg"] !== "RS256") throw new Failure(401, "A JSON web token could not be decoded");
  if (typeof exp !== "number" || exp < now || exp > now + longestJwt)
    throw new Failure(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  if (typeof iat !== "number" || iat > now)
    throw new Failure(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  const { app } = state;
  if (app === undefined || String(iss) !== String(app.id)) throw new Failure(404, "Integration not found");
  const signed = createVerify("RSA-SHA256").update(`${header}.${payload}`);
  if (!signed.verify(app.publicKey, Buffer.from(signature, "base64url")))
    throw new Failure(401, "A JSON web token could not be decoded");
  return { kind: "app", app };
}

function decode(part: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(Buffer.from(part, "base64url").toString("utf8"))) as Record<string, unknown>;
  } catch {
    throw new Failure(401, "A JSON web token could not be decoded");
  }
}

/** The person or bot behind a call. Throws 401 where there is none. */
export function accountOfCaller(caller: Caller): Account {
  if (caller.kind === "user" || caller.kind === "installation") return caller.account;
  throw new Failure(401, "Requires authentication");
}

export interface Need {
  /** The app permission, or several of which one is enough. */
  permission: string | readonly string[];
  level: Level;
  /** What a person needs on the repository, where that is not what `level` says. */
  role?: Role;
}

/** Passes, or throws what GitHub answers. A private repository that the caller may not see does not exist. */
export function authorize(caller: Caller, repository: Repository, need: Need): void {
  if (caller.kind === "installation") return authorizeInstallation(caller.token, repository, need);
  const role = caller.kind === "user" ? repository.roles.get(caller.account.login) : undefined;
  const sees = role !== undefined || !repository.private;
  if (!sees || caller.kind === "app") throw notFound();
  const wanted = need.role ?? need.level;
  if (wanted === "read" && need.level === "read") return;
  if (caller.kind === "nobody") throw new Failure(401, "Requires authentication");
  if (rank(wanted) > rank(role ?? "read")) throw new Failure(403, "Must have push access to repository");
}

/** The same as an answer. */
export function mayDo(caller: Caller, repository: Repository, need: Need): boolean {
  try {
    authorize(caller, repository, need);
    return true;
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

function authorizeInstallation(token: InstallationToken, repository: Repository, need: Need): void {
  const covered = token.repositories.has(fullName(repository));
  if (!covered && repository.private) throw notFound();
  const names = typeof need.permission === "string" ? [need.permission] : need.permission;
  const granted = names.some((name) => rank(token.permissions[name]) >= rank(need.level));
  if (granted && (covered || need.level === "read")) return;
  const accepted = names.map((name) => `${name}=${need.level}`).join("; ");
  throw new Failure(403, "Resource not accessible by integration", undefined, {
    "x-accepted-github-permissions": accepted,
  });
}

function rank(level: Role | Level | undefined): number {
  return ["read", "triage", "write", "admin"].indexOf(level ?? "") + 1;
}

/** A person's token; the same for the same login. */
export function tokenFor(state: State, account: Account): string {
  const known = [...state.userTokens].find(([, owner]) => owner.id === account.id);
  if (known !== undefined) return known[0];
  const token = `ghp_${randomBytes(18).toString("hex")}`;
  state.userTokens.set(token, account);
  return token;
}

function suspended(): Failure {
  return new Failure(403, "This installation has been suspended");
}

/** Throws 422 for more than the installation was given. */
export function mintToken(
  state: State,
  installation: Installation,
  wanted: { permissions: Permissions | undefined; repositoryIds: readonly number[] | undefined; ttlMs: number },
): { value: string; token: InstallationToken } {
  if (installation.suspendedAt !== null) throw suspended();
  const permissions: Permissions = { metadata: "read", ...(wanted.permissions ?? installation.permissions) };
  const tooMuch = Object.entries(permissions).some(
    ([name, level]) => rank(level) > rank(installation.permissions[name]),
  );
  if (tooMuch) throw new Failure(422, "The permissions requested are not granted to this installation.");
  const all = [...state.repositories.values()].filter((one) => installation.repositories.has(fullName(one)));
  const chosen = wanted.repositoryIds?.map((id) => all.find((one) => one.id === id)) ?? all;
  const repositories = chosen.filter((one) => one !== undefined);
  if (repositories.length !== chosen.length)
    throw new Failure(
      422,
      "There is at least one repository that does not exist or is not accessible to the parent installation.",
    );
  const value = `ghs_${randomBytes(18).toString("hex")}`;
  const token = {
    installation,
    permissions,
    repositories: new Set(repositories.map(fullName)),
    expiresAt: new Date(Date.now() + wanted.ttlMs),
  };
  state.installationTokens.set(value, token);
  return { value, token };
}
