#!/bin/sh
# Builds the sandbox image: sh sandbox/image.sh TAG [BASE]
# BASE is pulled where a registry answers. Where none does, the same base is made from Debian's packages
# (debootstrap) and Node's packages (npm), and the one Dockerfile runs on it.
set -eu
tag=$1
base=${2:-node:24-bookworm}
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "set-up: $*"; }
fail() { echo "set-up failed: $*" >&2; exit 1; }

bootstrap_base() {
  [ "$(id -u)" = 0 ] || fail "no registry serves $base, and making it from Debian's packages needs root. Run as root, or load $base with 'docker load'."
  command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >/dev/null; } ||
    fail "no registry serves $base, and debootstrap is not to be had. Load $base with 'docker load'."
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | head -n 1)
  say "making $1 from Debian's packages (about a minute)"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root/fs" ${mirror:+"$mirror"} >"$root/log" 2>&1 ||
    { tail -n 20 "$root/log" >&2; fail "debootstrap could not make the base image"; }
  arch=$(node -p process.arch)
  (cd "$root" && npm pack --silent "node-linux-$arch@24" "npm@11" >/dev/null) || fail "npm could not fetch Node 24 for the base image"
  mkdir -p "$root/node" "$root/fs/usr/local/lib/node_modules/npm"
  tar -xzf "$root"/node-linux-*.tgz -C "$root/node" --strip-components=1
  cp -a "$root/node/bin" "$root/fs/usr/local/"
  tar -xzf "$root"/npm-*.tgz -C "$root/fs/usr/local/lib/node_modules/npm" --strip-components=1
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/fs/usr/local/bin/npm"
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/fs/usr/local/bin/npx"
  if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
    cp /usr/local/share/ca-certificates/*.crt "$root/fs/usr/local/share/ca-certificates/"
    chroot "$root/fs" update-ca-certificates >/dev/null 2>&1
  fi
  chroot "$root/fs" useradd --uid 1000 --create-home --shell /bin/bash node
  rm -rf "$root/fs/var/lib/apt/lists" "$root/fs/var/cache/apt/archives"
  tar -C "$root/fs" -c . | docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1" >/dev/null
}

if ! docker image inspect "$base" >/dev/null 2>&1; then
  say "pulling $base"
  if ! timeout 600 docker pull -q "$base" >/dev/null 2>&1; then
    say "no registry serves $base"
    base=agent-fix-base:bookworm-node24
    docker image inspect "$base" >/dev/null 2>&1 || bootstrap_base "$base"
  fi
fi
say "building $tag on $base"
log=$(mktemp)
docker build --network host --build-arg "BASE=$base" -t "$tag" -f "$here/Dockerfile" "$here" >"$log" 2>&1 ||
  { tail -n 30 "$log" >&2; rm -f "$log"; fail "docker could not build $here/Dockerfile"; }
rm -f "$log"
