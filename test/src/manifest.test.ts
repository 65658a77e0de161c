import { readFileSync } from "node:fs";
import { Probot } from "probot";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { createApp } from "../../src/app.ts";
import { accessPermissions, lackedBy, webhookEvents } from "../../src/github/permissions.ts";

const manifest = parse(readFileSync(new URL("../../app.yml", import.meta.url), "utf8")) as {
  default_permissions: Record<string, string>;
  default_events: string[];
};

describe("app.yml", () => {
  it("asks for exactly the permissions that our tokens carry", () => {
    const needed: Record<string, string> = {};
    for (const permissions of Object.values(accessPermissions)) {
      for (const [name, level] of Object.entries(permissions)) {
        if (needed[name] !== "write") needed[name] = level;
      }
    }

    expect(manifest.default_permissions).toEqual(needed);
  });

  it("asks for exactly the events that we answer", () => {
    expect(manifest.default_events.toSorted()).toEqual([...webhookEvents].toSorted());
  });
});

describe("an app", () => {
  it("that was made by app.yml lacks nothing", () => {
    const made = { events: manifest.default_events, permissions: manifest.default_permissions };

    expect(lackedBy(made)).toEqual([]);
  });

  it("that was made before lacks what was added since, each named once", () => {
    const { default_permissions: all } = manifest;
    const permissions = { ...all, checks: "read", statuses: undefined };
    const events = manifest.default_events.filter((name) => name !== "push");

    expect(lackedBy({ events, permissions })).toEqual([
      "the permission statuses: read",
      "the permission checks: write",
      "the event push",
    ]);
  });
});

it("webhookEvents are exactly those that the app listens to", () => {
  const registered: string[] = [];
  const probot = Object.assign(new Probot({ githubToken: "test", secret: "s".repeat(32) }), {
    on: (names: string | string[]) => void registered.push(...[names].flat()),
  });

  createApp({ queues: { addIntake: async () => {} }, announce: async () => {} })(probot);

  const names = registered.map((name) => name.split(".")[0] ?? "");
  // Those of installations come to every app, and cannot be asked for.
  const asked = names.filter((name) => !name.startsWith("installation"));
  expect(new Set(asked)).toEqual(new Set(webhookEvents));
});
