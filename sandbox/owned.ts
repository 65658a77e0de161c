import type { Client } from "./docker.ts";
import type { Kept, Owned } from "./engine.ts";

/** How the names of our labels begin. */
export const labelPrefix = "agent-fix";

/** All containers and volumes of this installation's runs, in whatever state. */
export async function list(client: Client, instance: string): Promise<Owned[]> {
  const filters = { label: [`${labelPrefix}.instance=${instance}`, `${labelPrefix}.run`] };
  const containers = await client.call("list containers", {}, (docker) =>
    docker.listContainers({ all: true, filters }),
  );
  const { Volumes: volumes } = await client.call("list volumes", {}, (docker) => docker.listVolumes({ filters }));
  return [
    ...containers.map(({ Id, Labels, Created }) => ({
      ...owned("container", Id, Labels),
      created: fromSeconds(Created),
    })),
    ...volumes.map((volume) => ({ ...owned("volume", volume.Name, volume.Labels), created: createdAt(volume) })),
  ];
}

function fromSeconds(seconds: number): Date {
  return new Date(seconds * 1000);
}

// The engine's answer has it; the types of its client do not.
function createdAt(volume: object): Date {
  return new Date((volume as { CreatedAt?: string }).CreatedAt ?? 0);
}

function owned(kind: Owned["kind"], id: string, labels: Record<string, string> | null): Omit<Owned, "created"> {
  const epoch = labels?.[`${labelPrefix}.epoch`];
  return {
    kind,
    id,
    run: labels?.[`${labelPrefix}.run`] ?? "",
    role: labels?.[`${labelPrefix}.role`] ?? "",
    ...(epoch === undefined ? {} : { epoch: Number(epoch) }),
  };
}

/** The volumes that outlive their runs. */
export async function listKept(client: Client, instance: string): Promise<Kept[]> {
  const filters = { label: [`${labelPrefix}.instance=${instance}`] };
  const { Volumes: volumes } = await client.call("list volumes", {}, (docker) => docker.listVolumes({ filters }));
  const lower = new Set(volumes.flatMap(({ Labels }) => (Labels[`${labelPrefix}.lower`] ?? "").split(" ")));
  return volumes.flatMap((volume) => {
    const kept = volume.Labels[`${labelPrefix}.kept`];
    return kept === undefined
      ? []
      : [{ volume: volume.Name, kept, created: createdAt(volume), inUse: lower.has(volume.Name) }];
  });
}
