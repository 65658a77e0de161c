import Docker from "dockerode";
import { expect, test } from "vitest";
import type { Engine, Owned } from "../../sandbox/engine.ts";
import { reap } from "../../sandbox/reap.ts";
import { say, specOf, testEngine } from "./support.ts";

/** A run as a worker that died leaves it: a volume, and a container that still has a process on it. */
async function leaveBehind(engine: Engine, run: string): Promise<Omit<Owned, "created">[]> {
  const { name } = await engine.createVolume({ run, role: "workspace" });
  const mounts = [{ volume: name, at: "/workspace" }];
  const sandbox = await engine.startSandbox(specOf({ labels: { run, role: "agent" }, mounts }));
  void say(sandbox, "echo kept >/workspace/file; setsid sleep 600").catch(() => {});
  return [
    { kind: "container", id: sandbox.id, run, role: "agent" },
    { kind: "volume", id: name, run, role: "workspace" },
  ];
}

const ids = (owned: Pick<Owned, "id">[]) => owned.map(({ id }) => id).toSorted();

test("what dead runs left is removed; live runs, other installations and foreign volumes are left alone", async () => {
  const engine = testEngine();
  const other = testEngine();
  const docker = new Docker();
  const dead = await leaveBehind(engine, "dead");
  const live = await leaveBehind(engine, "live");
  const theirs = await leaveBehind(other, "dead");
  const foreign = await docker.createVolume({ Labels: { "agent-fix.run": "dead" } });

  const { removed } = await reap(engine, ({ run }) => run === "live");

  expect(removed.toSorted()).toEqual(ids(dead));
  expect(ids(await engine.list())).toEqual(ids(live));
  expect(ids(await other.list())).toEqual(ids(theirs));
  expect((await docker.getVolume(foreign.name).inspect()).Name).toBe(foreign.name);

  await docker.getVolume(foreign.name).remove();
  await reap(engine, () => false);
  await reap(other, () => false);
  expect([await engine.list(), await other.list()]).toEqual([[], []]);
});

test("containers that were never started or have ended are removed like running ones", async () => {
  const engine = testEngine();
  const [container] = await leaveBehind(engine, "dead");
  await new Docker().getContainer(container?.id ?? "").kill();

  const { removed } = await reap(engine, () => false);

  expect(removed).toHaveLength(2);
  expect(await engine.list()).toEqual([]);
});

test("a list tells each container and volume with its run and its role", async () => {
  const engine = testEngine();
  const left = await leaveBehind(engine, "some-run");

  const byId = (a: Pick<Owned, "id">, b: Pick<Owned, "id">) => (a.id < b.id ? -1 : 1);
  const listed = (await engine.list()).map(({ created: _created, ...rest }) => rest);
  expect(listed.toSorted(byId)).toEqual(left.toSorted(byId));

  await reap(engine, () => false);
});

test("removing is idempotent: once, again, at the same time, and of what never was", async () => {
  const engine = testEngine();
  const [container, volume] = await leaveBehind(engine, "dead");
  const id = container?.id ?? "";

  await Promise.all([engine.remove(id), engine.remove(id), engine.remove(id)]);
  await engine.remove(id);
  await Promise.all([engine.removeVolume(volume?.id ?? ""), engine.removeVolume(volume?.id ?? "")]);
  await engine.removeVolume(volume?.id ?? "");
  await engine.remove("0".repeat(64));
  await engine.removeVolume("agent-fix-never-was");

  expect(await engine.list()).toEqual([]);
  expect(await reap(engine, () => false)).toEqual({ removed: [] });
});

test("two reapers at once remove everything once and fail over nothing", async () => {
  const engine = testEngine();
  const left = [...(await leaveBehind(engine, "a")), ...(await leaveBehind(engine, "b"))];

  const both = await Promise.all([reap(engine, () => false), reap(engine, () => false)]);

  expect(new Set(both.flatMap(({ removed }) => removed))).toEqual(new Set(left.map(({ id }) => id)));
  expect(await engine.list()).toEqual([]);
});

test("a volume that a live run still holds does not keep the others from being removed", async () => {
  const engine = testEngine();
  const [, volume] = await leaveBehind(engine, "dead");
  const mounts = [{ volume: volume?.id ?? "", at: "/workspace" }];
  await using holder = await engine.startSandbox(specOf({ labels: { run: "live", role: "agent" }, mounts }));
  await leaveBehind(engine, "dead too");

  const { removed } = await reap(engine, ({ run }) => run === "live");

  expect(removed).toHaveLength(3);
  expect(new Set(ids(await engine.list()))).toEqual(new Set([holder.id, volume?.id]));
  await holder[Symbol.asyncDispose]();
  await reap(engine, () => false);
  expect(await engine.list()).toEqual([]);
});
