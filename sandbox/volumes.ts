import { type Client, statusOf } from "./docker.ts";

/** A volume of the engine. `mountpoint` is where the engine's machine has it. */
export interface Volume {
  name: string;
  mountpoint: string;
}

/** Layers of an overlay: what is written goes to `upper`, and `lower` is read only, topmost first. */
export interface Overlay {
  upper: Volume;
  work: Volume;
  lower: readonly Volume[];
}

/** Without a name it would count as anonymous: the engine would remove it with the first container that used it. */
export async function createVolume(
  client: Client,
  { name: Name, labels: Labels }: { name: string; labels: Record<string, string> },
  overlay?: Overlay,
): Promise<Volume> {
  const driver = overlay === undefined ? {} : { Driver: "local", DriverOpts: overlayOptions(overlay) };
  const volume = await client.call("create a volume", {}, (docker) => docker.createVolume({ Name, Labels, ...driver }));
  return { name: volume.name, mountpoint: await mountpointOf(client, volume.name) };
}

/** A volume that is gone is no error. */
export async function removeVolume(client: Client, name: string): Promise<void> {
  try {
    await client.call("remove a volume", {}, (docker) => docker.getVolume(name).remove({ force: true }));
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
}

/** Undefined when it is gone, by our hand or by another's. */
export async function findVolume(client: Client, name: string): Promise<Volume | undefined> {
  try {
    const { Mountpoint } = await client.call("look at a volume", {}, (docker) => docker.getVolume(name).inspect());
    return { name, mountpoint: Mountpoint };
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

const roots = new WeakMap<Client, string>();

/** The engine keeps all volumes of its own driver in one folder, so only the first one is looked at. */
async function mountpointOf(client: Client, name: string): Promise<string> {
  const root = roots.get(client);
  if (root !== undefined) return `${root}/${name}/_data`;
  const found = await findVolume(client, name);
  if (found === undefined) throw new Error(`The volume ${name} is gone right after it was made.`);
  if (found.mountpoint.endsWith(`/${name}/_data`)) roots.set(client, found.mountpoint.slice(0, -name.length - 7));
  return found.mountpoint;
}

// redirect_dir: without it a folder of a lower layer can't be renamed (EXDEV). The others would keep metadata alone in
// the upper layer, or tie it to the lower one's inodes.
function overlayOptions({ upper, work, lower }: Overlay): Record<string, string> {
  const folders = [upper, work, ...lower].map(({ mountpoint }) => mountpoint);
  const odd = folders.find((folder) => /[,:\\\s]/.test(folder));
  if (odd !== undefined) throw new Error(`The engine keeps volumes at ${odd}, which can't be named in a mount option.`);
  const below = lower.map(({ mountpoint }) => mountpoint).join(":");
  const o = `lowerdir=${below},upperdir=${upper.mountpoint},workdir=${work.mountpoint},redirect_dir=on,metacopy=off,index=off`;
  return { type: "overlay", device: "overlay", o };
}
