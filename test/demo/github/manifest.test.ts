import { describe, expect, it } from "vitest";
import { jwtOf, refusal, startTestGitHub } from "./support.ts";
import type { TestGitHub } from "./support.ts";

const manifest = {
  name: "My fixer",
  url: "https://example.com",
  redirect_url: "http://127.0.0.1:9/created",
  hook_attributes: { url: "http://127.0.0.1:9/hook" },
  default_permissions: { issues: "write" },
  default_events: ["issues"],
};

describe("an app from a manifest", () => {
  it("exists after the code was given, which is good once", async () => {
    await using github = await startTestGitHub();

    const back = await create(github, manifest, "a state");
    const code = back.searchParams.get("code") ?? "";
    const { data } = await github.with().rest.apps.createFromManifest({ code });

    expect(`${back.origin}${back.pathname}`).toBe(manifest.redirect_url);
    expect(back.searchParams.get("state")).toBe("a state");
    expect(data).toMatchObject({
      slug: "my-fixer",
      name: "My fixer",
      permissions: { metadata: "read", issues: "write" },
      events: ["issues"],
      pem: expect.stringContaining("BEGIN RSA PRIVATE KEY"),
      webhook_secret: expect.stringMatching(/^[\da-f]{40}$/),
    });
    const jwt = jwtOf(github, { iss: data.id, key: data.pem });
    expect((await github.with(jwt).rest.apps.getAuthenticated()).data?.id).toBe(data.id);
    expect(await refusal(github.with().rest.apps.createFromManifest({ code }))).toMatchObject({ status: 404 });
  });

  it.each(["", "{", "{}", JSON.stringify({ ...manifest, redirect_url: "nowhere" })])(
    "is not made of %j",
    async (text) => {
      await using github = await startTestGitHub();

      for (const step of ["new", "create"]) {
        const answer = await post(github, step, { manifest: text });
        expect(answer.status).toBe(422);
        expect(await answer.text()).toContain("The manifest is not valid");
      }
      expect(github.app.slug).toBe("fixer");
    },
  );
});

async function create(github: TestGitHub, of: object, state: string): Promise<URL> {
  const answer = await post(github, "create", { manifest: JSON.stringify(of), state });
  return new URL(answer.headers.get("location") ?? "");
}

function post(github: TestGitHub, step: string, form: Record<string, string>): Promise<Response> {
  return fetch(`${github.url}/settings/apps/${step}`, {
    method: "POST",
    body: new URLSearchParams(form),
    redirect: "manual",
  });
}
