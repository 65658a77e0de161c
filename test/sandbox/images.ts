import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { image } from "./support.ts";

/** An image for tests of what an image's own `/bin/sh` makes of the supervisor. */
export interface ShellImage extends Disposable {
  tag: string;
}

/** `/bin/sh` is busybox's, and there is nothing else: no bash, no util-linux, no coreutils. */
export function busyboxImage(): ShellImage {
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
  if (busybox === undefined) {
    throw new Error("busybox is missing: install Debian's package busybox-static (`sh setup.sh --test` does so).");
  }
  const root = mkdtempSync(join(tmpdir(), "agent-fix-busybox-"));
  try {
    for (const folder of ["bin", "etc", "tmp", "workspace"]) mkdirSync(join(root, folder));
    copyFileSync(busybox, join(root, "bin/busybox"));
    chmodSync(join(root, "bin/busybox"), 0o755);
    for (const name of execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n")) {
      if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
    }
    writeFileSync(join(root, "etc/passwd"), "node:x:1000:1000::/tmp:/bin/sh\n");
    const archive = execFileSync("tar", ["-C", root, "-c", "."], { maxBuffer: 2 ** 26 });
    const tag = newTag();
    execFileSync("docker", ["import", "--change", "ENV PATH=/bin", "-", tag], { input: archive, stdio: "pipe" });
    return removable(tag);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Our own image, changed by one command as root. */
export function changedImage(command: string): ShellImage {
  const tag = newTag();
  const dockerfile = `FROM ${image}\nUSER root\nRUN ${command}\nUSER 1000\n`;
  execFileSync("docker", ["build", "-q", "--network", "none", "-t", tag, "-"], { input: dockerfile, stdio: "pipe" });
  return removable(tag);
}

/** Our own image with Debian's packages in it. It stays, so that only the first run of the tests waits for it. */
export function debianImage(packages: readonly string[]): string {
  const tag = `agent-fix-test-debian:${packages.join("-")}`;
  const install = `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${packages.join(" ")}`;
  const dockerfile = `FROM ${image}\nUSER root\nRUN ${install}\nUSER 1000\n`;
  execFileSync("docker", ["build", "-q", "--network", "host", "-t", tag, "-"], { input: dockerfile, stdio: "pipe" });
  return tag;
}

function newTag(): string {
  return `agent-fix-test:${randomBytes(6).toString("hex")}`;
}

function removable(tag: string): ShellImage {
  return { tag, [Symbol.dispose]: () => void execFileSync("docker", ["rmi", "-f", tag], { stdio: "pipe" }) };
}
