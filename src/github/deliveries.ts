import type { Octokit } from "@octokit/rest";

const mostPages = 10;
/** How often a delivery that keeps failing is asked for. */
const mostTries = 5;

/**
 * Asks GitHub to deliver again every delivery since `since` whose newest attempt failed, a few times at most. Returns how
 * many it asked for; one that GitHub refuses does not stop the others.
 */
export async function redeliverFailed(asApp: Octokit, since: Date): Promise<number> {
  const newest = await newestAttempts(asApp, since);
  let asked = 0;
  let refusal: unknown;
  for (const { id, ok, attempts } of newest) {
    if (ok || attempts > mostTries) continue;
    try {
      await asApp.rest.apps.redeliverWebhookDelivery({ delivery_id: id });
      asked++;
    } catch (error) {
      refusal ??= error;
    }
  }
  if (asked === 0 && refusal !== undefined) throw refusal;
  return asked;
}

interface Delivery {
  /** Of the newest attempt. */
  id: number;
  ok: boolean;
  attempts: number;
}

async function newestAttempts(asApp: Octokit, since: Date): Promise<Iterable<Delivery>> {
  const newest = new Map<string, Delivery>();
  let pages = 0;
  for await (const { data } of asApp.paginate.iterator(asApp.rest.apps.listWebhookDeliveries, { per_page: 100 })) {
    pages++;
    const recent = data.filter((row) => new Date(row.delivered_at) >= since);
    // Newest first: the first row of a GUID is its latest attempt.
    for (const row of recent) {
      const known = newest.get(row.guid);
      if (known !== undefined) known.attempts++;
      else newest.set(row.guid, { id: row.id, ok: row.status_code >= 200 && row.status_code < 300, attempts: 1 });
    }
    if (pages >= mostPages || recent.length < data.length || data.length === 0) break;
  }
  return newest.values();
}
