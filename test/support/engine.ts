import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TestEngine extends AsyncDisposable {
  socketPath: string;
}

/** Answers GET of each path as an engine's API would, with or without a version in front, on a unix socket of its own. */
export async function startTestEngine(answers: Record<string, unknown>): Promise<TestEngine> {
  const folder = mkdtempSync(join(tmpdir(), "agent-fix-engine-"));
  const socketPath = join(folder, "docker.sock");
  const server = createServer((request, response) => {
    const path = (request.url ?? "").replace(/^\/v[\d.]+(?=\/)/, "");
    const answer = request.method === "GET" ? answers[path] : undefined;
    response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { message: "page not found" }));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}

const commit = (GitCommit: string) => ({ Details: { GitCommit } });

/** What engines answer to /version and /info, cut down to what stands in the documentation of the API and matters here. */
export const engineAnswers = {
  debian12: {
    "/version": {
      Version: "20.10.24+dfsg1",
      ApiVersion: "1.41",
      KernelVersion: "6.1.0-49-amd64",
      Components: [
        { Name: "Engine", Version: "20.10.24+dfsg1", ...commit("5d6db84") },
        { Name: "containerd", Version: "1.6.20~ds1", ...commit("1.6.20~ds1-1+deb12u3") },
        { Name: "runc", Version: "1.1.5+ds1", ...commit("1.1.5+ds1-1+deb12u1") },
        { Name: "docker-init", Version: "0.19.0", ...commit("") },
      ],
    },
    "/info": {
      OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
      Driver: "overlay2",
      DriverStatus: [
        ["Backing Filesystem", "extfs"],
        ["Supports d_type", "true"],
      ],
      DockerRootDir: "/var/lib/docker",
      CgroupVersion: "2",
      SecurityOptions: ["name=apparmor", "name=seccomp,profile=default", "name=cgroupns"],
      Runtimes: { runc: { path: "runc" }, "io.containerd.runc.v2": { path: "runc" } },
      MemoryLimit: true,
      SwapLimit: true,
      CpuCfsQuota: true,
      PidsLimit: true,
      LiveRestoreEnabled: false,
    },
  },
  rootless29: {
    "/version": {
      Platform: { Name: "Docker Engine - Community" },
      Version: "29.5.1",
      ApiVersion: "1.54",
      KernelVersion: "6.18.30",
      Components: [
        { Name: "Engine", Version: "29.5.1", ...commit("0a1b2c3") },
        { Name: "containerd", Version: "v2.2.5", ...commit("fcd43222d6b07379a4be9786bda52438f0dd16a1") },
        { Name: "runc", Version: "1.3.6", ...commit("v1.3.6-0-g6a2e4a47") },
        { Name: "rootlesskit", Version: "2.3.5", Details: { NetworkDriver: "slirp4netns" } },
      ],
    },
    "/info": {
      OperatingSystem: "Ubuntu 26.04 LTS",
      Driver: "overlayfs",
      DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"]],
      DockerRootDir: "/home/ann/.local/share/docker",
      CgroupVersion: "2",
      SecurityOptions: ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
      Runtimes: { runc: { path: "runc" }, runsc: { path: "/usr/local/bin/runsc" } },
      MemoryLimit: true,
      SwapLimit: false,
      CpuCfsQuota: true,
      PidsLimit: false,
      LiveRestoreEnabled: true,
    },
  },
  podman: {
    "/version": {
      Version: "5.6.2",
      ApiVersion: "1.41",
      KernelVersion: "6.18.30",
      Components: [
        { Name: "Podman Engine", Version: "5.6.2", Details: { APIVersion: "5.6.2" } },
        { Name: "OCI Runtime (crun)", Version: "crun version 1.24", Details: { Package: "crun-1.24" } },
      ],
    },
    "/info": {
      OperatingSystem: "fedora",
      Driver: "overlay",
      DriverStatus: [["Backing Filesystem", "btrfs"]],
      Runtimes: null,
    },
  },
};
