import { createHmac, randomUUID } from "node:crypto";
import { messageOf } from "../../errors.ts";
import { accountJson } from "./json/account.ts";
import { nodeId } from "./json/site.ts";
import type { Site } from "./json/site.ts";
import { repositoryJson } from "./json/repository.ts";
import { installationOf } from "./state.ts";
import type { Account, Delivery, Repository, State } from "./state.ts";

/** GitHub waits ten seconds for an answer. */
const deliveryLimitMs = 10_000;
const mostDeliveries = 1000;

export interface WebhookEvent {
  event: string;
  action: string;
  repository: Repository;
  sender: Account;
  /** What the event is about: `issue`, `label`, `review`... */
  subject: Record<string, unknown>;
}

/** Signed deliveries to the app, recorded and repeatable. */
export interface Webhooks extends AsyncDisposable {
  /** Sends the event, if the app is installed on the repository and subscribed; does not wait for the answer. */
  emit(event: WebhookEvent): void;
  /** Sends a recorded delivery once more under the same GUID. */
  redeliver(delivery: Delivery): void;
}

export function createWebhooks(
  state: State,
  site: Site,
  onDelivery: (sent: { event: string; payload: unknown }) => void,
): Webhooks {
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();

  const start = (delivery: Delivery) => {
    state.deliveries.unshift(delivery);
    state.deliveries.length = Math.min(state.deliveries.length, mostDeliveries);
    const work = send(delivery, state, closing.signal).finally(() => underWay.delete(work));
    underWay.add(work);
  };
  return {
    emit(event) {
      const delivery = newDelivery(state, site, event);
      if (delivery === undefined) return;
      onDelivery({ event: event.event, payload: JSON.parse(delivery.payload) });
      start(delivery);
    },
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

function newDelivery(state: State, site: Site, about: WebhookEvent): Delivery | undefined {
  const { event, action, repository, sender, subject } = about;
  const { app } = state;
  const installation = installationOf(state, repository);
  if (app === undefined || installation === undefined || !app.events.includes(event)) return undefined;
  const payload = JSON.stringify({
    action,
    ...subject,
    repository: repositoryJson(site, repository),
    sender: accountJson(site, sender),
    installation: { id: installation.id, node_id: nodeId("IntegrationInstallation", installation.id) },
  });
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
    action,
    deliveredAt: state.now(),
    redelivery: false,
    ...pending,
    installationId: installation.id,
    repositoryId: repository.id,
    headers,
    payload,
  };
}

async function send(delivery: Delivery, state: State, closing: AbortSignal): Promise<void> {
  const started = performance.now();
  try {
    if (state.webhookUrl === undefined) throw new Error("the app has no webhook address");
    const signal = AbortSignal.any([closing, AbortSignal.timeout(deliveryLimitMs)]);
    const { headers, payload } = delivery;
    const answer = await fetch(state.webhookUrl, { method: "POST", headers, body: payload, signal });
    await answer.body?.cancel();
    delivery.statusCode = answer.status;
    delivery.status = answer.ok ? "OK" : `Invalid HTTP Response: ${answer.status}`;
  } catch (error) {
    delivery.statusCode = 502;
    delivery.status = `failed to connect to host: ${messageOf(error)}`;
  } finally {
    delivery.duration = Number(((performance.now() - started) / 1000).toFixed(2));
  }
}
