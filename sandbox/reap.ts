import type { Engine, Owned } from "./engine.ts";

/**
 * Removes the containers and volumes of this installation whose run is not live, and says which. What belongs to
 * nobody or to another installation is not touched. One that can't be removed does not keep the others.
 */
export async function reap(engine: Engine, isLive: (owned: Owned) => boolean): Promise<{ removed: string[] }> {
  const dead = (await engine.list()).filter((owned) => !isLive(owned));
  // A volume can't go while a container holds it.
  const removed = [
    ...(await removeAll(
      engine,
      dead.filter(({ kind }) => kind === "container"),
    )),
    ...(await removeAll(
      engine,
      dead.filter(({ kind }) => kind === "volume"),
    )),
  ];
  return { removed };
}

async function removeAll(engine: Engine, owned: Owned[]): Promise<string[]> {
  const settled = await Promise.allSettled(
    owned.map(async ({ kind, id }) => {
      await (kind === "container" ? engine.remove(id) : engine.removeVolume(id));
      return id;
    }),
  );
  return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
