import type { Account } from "../state.ts";
import { nodeId } from "./site.ts";
import type { Site } from "./site.ts";

export function accountJson(site: Site, { id, login, type }: Account) {
  const at = `${site.api}/users/${encodeURIComponent(login)}`;
  return {
    login,
    id,
    node_id: nodeId("User", id),
    avatar_url: `${site.url}/avatars/${id}`,
    gravatar_id: "",
    url: at,
    html_url: `${site.url}/${encodeURIComponent(login)}`,
    followers_url: `${at}/followers`,
    following_url: `${at}/following{/other_user}`,
    gists_url: `${at}/gists{/gist_id}`,
    starred_url: `${at}/starred{/owner}{/repo}`,
    subscriptions_url: `${at}/subscriptions`,
    organizations_url: `${at}/orgs`,
    repos_url: `${at}/repos`,
    events_url: `${at}/events{/privacy}`,
    received_events_url: `${at}/received_events`,
    type,
    site_admin: false,
  };
}

export function userJson(site: Site, who: Account) {
  const texts = { name: who.login, bio: null, blog: "", company: null, email: null, location: null, hireable: null };
  const times = { created_at: "2024-01-01T00:00:00Z", updated_at: "2024-01-01T00:00:00Z" };
  return {
    ...accountJson(site, who),
    ...texts,
    ...times,
    followers: 0,
    following: 0,
    public_gists: 0,
    public_repos: 0,
  };
}
