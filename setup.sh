#!/bin/sh
# Makes a fresh machine ready for `npm run demo` and `npm test`: sh setup.sh [--test]
# Says what it does and why, does only what is missing, and names the remedy where it can't.
set -eu
cd "$(dirname "$0")"
say() { echo "set-up: $*"; }
fail() { echo "set-up failed: $*" >&2; exit 1; }

npm_packages() {
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "installing the npm packages of package-lock.json"
    npm ci --no-audit --no-fund || fail "npm ci did not finish. Its own message stands above."
    touch node_modules/.package-lock.json
  fi
}

debian_packages() {
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "these programs are missing, and there is no apt-get to install them with: $*. Install them by your system's own means."
  [ "$(id -u)" = 0 ] || fail "these packages are missing and installing them needs root: $*. Run: sudo apt-get install -y --no-install-recommends $*"
  say "installing Debian packages: $*"
  # Services are started by us, or by their owner, never by the installation.
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
  apt-get update -qq || fail "apt-get update failed. Its own message stands above."
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || fail "apt-get could not install: $*"
}

missing_packages() {
  command -v git >/dev/null || echo git
  [ -x "$(git --exec-path 2>/dev/null)/git-http-backend" ] || echo git
  command -v redis-server >/dev/null || echo redis-server
  if ! engine_answers; then
    # The client alone (or a stopped engine of another make) is no engine: dockerd is what must be there.
    command -v dockerd >/dev/null || echo docker.io iptables
  fi
  command -v docker >/dev/null || echo docker.io
  [ "${1:-}" != --test ] || { command -v chromium >/dev/null || echo chromium fonts-dejavu-core; }
  [ "${1:-}" != --test ] || { [ -x /bin/busybox ] || echo busybox-static; }
}

engine_answers() {
  command -v docker >/dev/null && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

start_engine() {
  engine_answers && return 0
  [ -z "${DOCKER_HOST:-}" ] || fail "DOCKER_HOST is $DOCKER_HOST and no engine answers there. Start that engine, or unset DOCKER_HOST."
  [ "$(id -u)" = 0 ] || fail "no Docker engine answers. Start it (sudo systemctl start docker), or add yourself to the group that owns /var/run/docker.sock."
  # A second engine would take the first one's bridge away.
  ! pgrep -x dockerd >/dev/null || fail "dockerd runs but does not answer on /var/run/docker.sock. Name its socket in DOCKER_HOST, or restart it."
  say "starting the Docker engine (log: /var/log/agent-fix-dockerd.log)"
  mountpoint -q /sys/fs/cgroup || ls /sys/fs/cgroup/memory >/dev/null 2>&1 || mount -t cgroup2 none /sys/fs/cgroup || fail "no cgroup file system is mounted at /sys/fs/cgroup"
  # Sandboxes have no network, so the engine needs no bridge and no packet filter.
  rm -f /var/run/docker.pid
  setsid dockerd --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=false \
    >/var/log/agent-fix-dockerd.log 2>&1 </dev/null &
  engine=$!
  for _ in $(seq 1 120); do
    engine_answers && return 0
    kill -0 "$engine" 2>/dev/null || { tail -n 20 /var/log/agent-fix-dockerd.log >&2; fail "dockerd ended at once. The end of its log stands above."; }
    sleep 0.5
  done
  tail -n 20 /var/log/agent-fix-dockerd.log >&2
  fail "dockerd did not answer within 60 s. The end of its log stands above."
}

sandbox_image() {
  tag=agent-fix-sandbox:$(cat sandbox/Dockerfile sandbox/image.sh | sha256sum | cut -c1-12)
  docker image inspect "$tag" >/dev/null 2>&1 || sh sandbox/image.sh "$tag"
  docker tag "$tag" agent-fix-sandbox:latest
}

contract_cache() {
  # Only the tests read it: npm itself holds the archive for the next time.
  node_modules/.bin/node test/support/build-contract.ts || fail "GitHub's description of its API is missing. The reason stands above."
}

npm_packages
# shellcheck disable=SC2046
debian_packages $(missing_packages "${1:-}" | tr ' ' '\n' | sort -u)
[ "${1:-}" != --test ] || contract_cache
start_engine
sandbox_image
