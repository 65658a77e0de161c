import type { Octokit } from "@octokit/rest";

const mostPages = 10;

/** Asks GitHub to deliver again every delivery since `since` whose newest attempt failed. Returns how many. */
export async function redeliverFailed(asApp: Octokit, since: Date): Promise<number> {
  const newest = new Map<string, { id: number; ok: boolean }>();
  let pages = 0;
  for await (const { data } of asApp.paginate.iterator(asApp.rest.apps.listWebhookDeliveries, { per_page: 100 })) {
    pages++;
    // Newest first: the first row of a GUID is its latest attempt.
    for (const row of data) {
      if (!newest.has(row.guid))
        newest.set(row.guid, { id: row.id, ok: row.status_code >= 200 && row.status_code < 300 });
    }
    const oldest = data.at(-1);
    if (pages >= mostPages || oldest === undefined || new Date(oldest.delivered_at) < since) break;
  }
  const failed = [...newest.values()].filter((row) => !row.ok);
  for (const { id } of failed) await asApp.rest.apps.redeliverWebhookDelivery({ delivery_id: id });
  return failed.length;
}
