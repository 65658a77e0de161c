import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";

export interface PublishedPackage {
  name: string;
  version: string;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  deprecated?: string;
  files?: Record<string, string>;
}

/** A package registry on this machine, with the documents and archives that npm asks for. */
export interface TestRegistry extends AsyncDisposable {
  url: string;
  /** As the set-up network names it. */
  host: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** What a lock file says of a package. */
  locked(name: string, version: string): Record<string, unknown>;
}

export async function startRegistry(packages: readonly PublishedPackage[]): Promise<TestRegistry> {
  const requests: string[] = [];
  const archives = new Map<string, Buffer>();
  for (const one of packages) archives.set(archivePath(one.name, one.version), await archiveOf(one));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://registry").pathname);
    requests.push(path);
    const archive = archives.get(path);
    const versions = packages.filter(({ name }) => `/${name}` === path);
    if (archive !== undefined) response.end(archive);
    else if (versions.length > 0) response.end(JSON.stringify(documentOf(versions)));
    else response.writeHead(404).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://localhost:${port}`;

  const dist = ({ name, version }: { name: string; version: string }) => {
    const archive = archives.get(archivePath(name, version)) ?? Buffer.alloc(0);
    const integrity = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
    return { tarball: `${url}${archivePath(name, version)}`, integrity };
  };
  function documentOf(versions: readonly PublishedPackage[]) {
    const entries = versions.map((one) => {
      const { files: _files, scripts = {}, ...rest } = one;
      return [one.version, { ...rest, scripts, hasInstallScript: hasScript(one), dist: dist(one) }];
    });
    const latest = versions.at(-1)?.version;
    return { name: versions[0]?.name, "dist-tags": { latest }, versions: Object.fromEntries(entries) };
  }

  return {
    url,
    host: `localhost:${port}`,
    requests,
    locked(name, version) {
      const { tarball, integrity } = dist({ name, version });
      const published = packages.find((one) => one.name === name && one.version === version);
      const script = published !== undefined && hasScript(published) ? { hasInstallScript: true } : {};
      return { version, resolved: tarball, integrity, ...script };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function hasScript({ scripts = {} }: PublishedPackage): boolean {
  return ["preinstall", "install", "postinstall"].some((name) => name in scripts);
}

function archivePath(name: string, version: string): string {
  return `/${name}/-/${name}-${version}.tgz`;
}

async function archiveOf({ files = {}, scripts = {}, deprecated: _said, ...rest }: PublishedPackage): Promise<Buffer> {
  const archive = pack();
  const manifest = JSON.stringify({ ...rest, scripts });
  for (const [path, text] of Object.entries({ "package.json": manifest, ...files })) {
    archive.entry({ name: `package/${path}`, mtime: new Date(0) }, text);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}
