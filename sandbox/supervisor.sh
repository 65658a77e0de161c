# Runs inside every sandbox as `/bin/sh -s`: the host writes calls of these functions to its stdin. Everything on the
# way up is built in, because a shell whose fork fails ends, and at the process limit every fork fails.
#   stdout: answers to O, one after another        stderr: events, one short line each (D, K, R, Y)
#   /run/af/ID.out .pid .rc .cwd: one command's output, process group, exit code, last working directory
#   /run/af/ID.cut .tail: how much of a flood was cut out of .out after its head, and what stood before the cut
# A call ends in the word E, so that half a line, left by a host that died, does nothing.
D=/run/af
# Before every event: what a stray process left on the stream without a line's end must not swallow it.
N='
'
HEAD=65536
FLOOD=8388608
AF_SHELL=sh
command -v bash >/dev/null 2>&1 && AF_SHELL=bash
AF_RUN='trap "pwd -P >$2" EXIT; __af=$1; set --; eval "$__af"'
# At the process limit dash ends. A new shell takes over its streams, and the host (told by Y) clears up.
trap 'echo "${N}Y" >&2; exec /bin/sh -s' EXIT

complete() {
  for word; do :; done
  [ "$word" = E ]
}

# How often the kernel killed a process of this container for its memory (cgroup v2, v1).
count_oom() {
  oom=0
  for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] || continue
    while read -r name value; do [ "$name" = oom_kill ] && oom=$value; done <"$f"
  done
}

# S id cwd command [NAME=value]... E: starts a command in its own session.
S() {
  complete "$@" || return 0
  [ ! -e "$D/$1.pid" ] || return 0
  (
    # Without a process left for the command, this shell ends here; it says so instead of leaving the host to wait.
    trap "echo 'agent-fix: no further process could be started (process limit)' >>$D/$1.out; echo '${N}D $1 254 1 0' >&2" EXIT
    count_oom
    before=$oom
    (
      { echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null
      id=$1 run=$3
      cd -- "$2" || exit 1
      shift 3
      while [ $# -gt 1 ]; do export "$1"; shift; done
      AF_STEP="$id;"
      export AF_STEP
      exec setsid "$AF_SHELL" -c "$AF_RUN" "$AF_SHELL" "$run" "$D/$id.cwd"
    ) >>"$D/$1.out" 2>&1 </dev/null &
    p=$!
    echo $p >"$D/$1.pid"
    wait $p 2>/dev/null
    r=$?
    kill -KILL -$p 2>/dev/null
    echo $r >"$D/$1.rc"
    count_oom
    more=0 killed=0 now=
    [ -s "$D/$1.out" ] || [ -s "$D/$1.cut" ] && more=1
    [ -r "$D/$1.cwd" ] && read -r now <"$D/$1.cwd"
    [ "${now:-$2}" = "$2" ] || more=1
    [ "$oom" = "$before" ] || killed=1
    trap - EXIT
    echo "${N}D $1 $r $more $killed" >&2
  ) &
}

# K id TERM|KILL E: ends a command; KILL also finds what left its session, by the marker in its environment.
K() {
  complete "$@" || return 0
  (
    p=
    [ -r "$D/$1.pid" ] && read -r p <"$D/$1.pid"
    [ -z "$p" ] || kill "-$2" "-$p" 2>/dev/null
    n=0
    while [ "$2" = KILL ] && [ $n -lt 20 ]; do
      found=
      for q in $(grep -l "AF_STEP=$1;" /proc/[0-9]*/environ 2>/dev/null); do
        q=${q#/proc/}
        kill -KILL "${q%/environ}" 2>/dev/null && found=1
      done
      [ -n "$found" ] || break
      n=$((n + 1))
    done
    echo "${N}K $1 $2" >&2
  ) &
}

# O id nonce head tail E: total size, then at most `head` bytes from the start and `tail` from the end, then the cwd.
O() {
  complete "$@" || return 0
  f=$D/$1 c=0 n=0
  [ -r "$f.cut" ] && read -r c <"$f.cut"
  [ -s "$f.out" ] && n=$(($(wc -c <"$f.out")))
  printf '%s%s\n' "$2" $((c + n))
  if [ "$c" = 0 ] && [ $n -le $(($3 + $4)) ]; then
    [ $n = 0 ] || head -c $n "$f.out"
    printf %s "$2"
  else
    h=$3 after=$3
    [ "$c" = 0 ] || { after=$HEAD; [ "$h" -le $HEAD ] || h=$HEAD; }
    head -c "$h" "$f.out"
    printf %s "$2"
    { [ "$c" = 0 ] || cat "$f.tail"; tail -c +$((after + 1)) "$f.out"; } 2>/dev/null | tail -c "$4"
  fi
  printf %s "$2"
  [ -r "$f.cwd" ] && head -c 4097 "$f.cwd"
  printf %s "$2"
}

# F id E: the host has the output.
F() {
  complete "$@" || return 0
  printf '' >"$D/$1.out"
}

# T E: cuts outputs that grow too large. Programs write in append mode, so they go on behind the cut.
T() {
  for f in "$D"/*.out; do
    [ -s "$f" ] || continue
    n=$(($(wc -c <"$f")))
    [ $n -gt $FLOOD ] || continue
    b=${f%.out} c=0 p=
    [ -r "$b.cut" ] && read -r c <"$b.cut"
    # Its writers stand still, or what they write between look and cut would be lost uncounted.
    [ -r "$b.pid" ] && read -r p <"$b.pid"
    [ -z "$p" ] || kill -STOP "-$p" 2>/dev/null
    n=$(($(wc -c <"$f")))
    # A full /run/af has no room for the tail; the cut makes the room.
    tail -c $HEAD "$f" >"$b.tail" 2>/dev/null || printf '' >"$b.tail"
    dd if=/dev/null of="$f" bs=$HEAD seek=1 count=0 2>/dev/null
    echo $((c + n - HEAD)) >"$b.cut"
    [ -z "$p" ] || kill -CONT "-$p" 2>/dev/null
  done
}

# W name format E: appends bytes, written as a format of printf, to a file of the supervisor.
W() {
  complete "$@" || return 0
  printf "$2" >>"$D/$1"
}

# Z word E: kills every process but this shell.
Z() {
  complete "$@" || return 0
  kill -KILL -1
  echo "${N}R $1" >&2
}

if command -v setsid >/dev/null 2>&1; then echo "${N}R up" >&2; else echo "${N}R up bare" >&2; fi
