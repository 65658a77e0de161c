import type { Account, App, AppFacts, Delivery, Installation } from "../state.ts";
import { accountJson } from "./account.ts";
import { nodeId } from "./site.ts";
import type { Site } from "./site.ts";

export function appJson(site: Site, one: AppFacts, owner: Account) {
  return {
    id: one.id,
    slug: one.slug,
    node_id: nodeId("Integration", one.id),
    owner: accountJson(site, owner),
    name: one.name,
    description: null,
    external_url: site.url,
    html_url: `${site.url}/apps/${one.slug}`,
    created_at: one.createdAt,
    updated_at: one.createdAt,
    permissions: one.permissions,
    events: one.events,
  };
}

export function installationJson(site: Site, one: Installation, of: App) {
  return {
    id: one.id,
    account: accountJson(site, one.account),
    repository_selection: "selected",
    access_tokens_url: `${site.api}/app/installations/${one.id}/access_tokens`,
    repositories_url: `${site.api}/installation/repositories`,
    html_url: `${site.url}/settings/installations/${one.id}`,
    app_id: of.id,
    app_slug: of.slug,
    target_id: one.account.id,
    target_type: one.account.type,
    permissions: one.permissions,
    events: of.events,
    created_at: one.createdAt,
    updated_at: one.createdAt,
    single_file_name: null,
    suspended_by: one.suspendedAt === null ? null : accountJson(site, one.account),
    suspended_at: one.suspendedAt,
  };
}

export function deliveryJson(one: Delivery) {
  return {
    id: one.id,
    guid: one.guid,
    delivered_at: one.deliveredAt,
    redelivery: one.redelivery,
    duration: one.duration,
    status: one.status,
    status_code: one.statusCode,
    event: one.event,
    action: one.action,
    installation_id: one.installationId,
    repository_id: one.repositoryId,
    throttled_at: null,
  };
}
