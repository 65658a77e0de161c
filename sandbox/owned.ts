import type { Client } from "./docker.ts";
import type { Kept, Labels, Owned, VolumeLabels } from "./engine.ts";
import type { Volume } from "./volumes.ts";

const labelPrefix = "agent-fix";

/** The labels by which what an installation made is known again. */
export function labelsFor(instance: string) {
  const own = { [`${labelPrefix}.app`]: "agent-fix", [`${labelPrefix}.instance`]: instance };
  const run = ({ run: id, role, epoch }: Labels): Record<string, string> => ({
    ...own,
    [`${labelPrefix}.run`]: id,
    [`${labelPrefix}.role`]: role,
    ...(epoch === undefined ? {} : { [`${labelPrefix}.epoch`]: String(epoch) }),
  });
  const volume = (labels: VolumeLabels, lower: readonly Volume[]): Record<string, string> => {
    const below = [...lower.map(({ name }) => name), ...(labels.standsOn ?? [])].join(" ");
    const whose = "kept" in labels ? { ...own, [`${labelPrefix}.kept`]: labels.kept } : run(labels);
    return below === "" ? whose : { ...whose, [`${labelPrefix}.lower`]: below };
  };
  return { run, volume };
}

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
