import { createHmac, randomUUID } from "node:crypto";
import { messageOf } from "../../errors.ts";
import { accountJson } from "./json/account.ts";
import { nodeId } from "./json/site.ts";
import type { Site } from "./json/site.ts";
import { repositoryJson } from "./json/repository.ts";
import { installationOf } from "./state.ts";
import type { Account, Delivery, Installation, Repository, State } from "./state.ts";

const mostDeliveries = 1000;

interface WebhookEvent {
  event: string;
  /** A push has none. */
  action?: string;
  repository: Repository;
  sender: Account;
  /** What the event is about: `issue`, `label`, `review`... */
  subject: Record<string, unknown>;
}

interface InstallationEvent {
  event: "installation" | "installation_repositories";
  payload: { action: string; [subject: string]: unknown };
}

/** Signed deliveries to the app, recorded and repeatable. */
export interface Webhooks extends AsyncDisposable {
  /** Sends the event, if the app is installed on the repository and subscribed; does not wait for the answer. */
  emit(event: WebhookEvent): void;
  /** Sends what is about the installation itself, of which every app is told. */
  emitTo(installation: Installation, event: InstallationEvent): void;
  /** Sends a recorded delivery once more under the same GUID. */
  redeliver(delivery: Delivery): void;
}

export interface WebhookOptions {
  onDelivery: (sent: { event: string; payload: unknown }) => void;
  /** How long an answer is waited for, in milliseconds. */
  limitMs: number;
}

export function createWebhooks(state: State, site: Site, { onDelivery, limitMs }: WebhookOptions): Webhooks {
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();

  const tell = (delivery: Delivery | undefined) => {
    if (delivery === undefined) return;
    onDelivery({ event: delivery.event, payload: JSON.parse(delivery.payload) });
    start(delivery);
  };
  const start = (delivery: Delivery) => {
    state.deliveries.unshift(delivery);
    state.deliveries.length = Math.min(state.deliveries.length, mostDeliveries);
    const work = send(delivery, state.webhookUrl, { closing: closing.signal, limitMs }).finally(() =>
      underWay.delete(work),
    );
    underWay.add(work);
  };
  return {
    emit: (event) => tell(deliveryOf(state, site, event)),
    emitTo: (installation, { event, payload }) => tell(newDelivery(state, installation, { event, payload })),
    redeliver(former) {
      start({ ...former, id: state.nextId(), redelivery: true, deliveredAt: state.now(), ...pending });
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all(underWay);
    },
  };
}

const pending = { status: "pending", statusCode: 0, duration: 0 };

function deliveryOf(state: State, site: Site, about: WebhookEvent): Delivery | undefined {
  const { event, action, repository, sender, subject } = about;
  const installation = installationOf(state, repository);
  if (installation === undefined || state.app?.events.includes(event) !== true) return undefined;
  const payload = {
    ...(action === undefined ? {} : { action }),
    ...subject,
    repository: repositoryJson(site, repository),
    sender: accountJson(site, sender),
    installation: { id: installation.id, node_id: nodeId("IntegrationInstallation", installation.id) },
  };
  return newDelivery(state, installation, { event, payload, repositoryId: repository.id });
}

function newDelivery(
  state: State,
  installation: Installation,
  about: { event: string; payload: { action?: string }; repositoryId?: number },
): Delivery | undefined {
  const { app } = state;
  if (app === undefined || installation.suspendedAt !== null) return undefined;
  const { event, repositoryId = null } = about;
  const payload = JSON.stringify(about.payload);
  const guid = randomUUID();
  const headers = {
    "content-type": "application/json",
    "user-agent": "GitHub-Hookshot/embedded",
    "x-github-delivery": guid,
    "x-github-event": event,
    "x-github-hook-installation-target-id": String(app.id),
    "x-github-hook-installation-target-type": "integration",
    "x-hub-signature-256": `sha256=${createHmac("sha256", app.webhookSecret).update(payload).digest("hex")}`,
  };
  return {
    id: state.nextId(),
    guid,
    event,
    action: about.payload.action ?? null,
    deliveredAt: state.now(),
    redelivery: false,
    ...pending,
    installationId: installation.id,
    repositoryId,
    headers,
    payload,
  };
}

async function send(
  delivery: Delivery,
  url: string | undefined,
  { closing, limitMs }: { closing: AbortSignal; limitMs: number },
): Promise<void> {
  const started = performance.now();
  try {
    if (url === undefined) throw new Error("the app has no webhook address");
    const signal = AbortSignal.any([closing, AbortSignal.timeout(limitMs)]);
    const { headers, payload } = delivery;
    const answer = await fetch(url, { method: "POST", headers, body: payload, signal, redirect: "manual" });
    await answer.body?.cancel();
    delivery.statusCode = answer.status;
    delivery.status = answer.ok ? "OK" : `Invalid HTTP Response: ${answer.status}`;
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    delivery.statusCode = late ? 504 : 502;
    delivery.status = late ? "timed out" : `failed to connect to host: ${messageOf(error)}`;
  } finally {
    delivery.duration = Number(((performance.now() - started) / 1000).toFixed(2));
  }
}
