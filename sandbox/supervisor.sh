# Runs inside every sandbox as `/bin/sh -s`: the host writes calls of these functions to its stdin. Everything on the
# way up is built in, because a shell whose fork fails ends, and at the process limit every fork fails.
#   stdout: answers to O, one after another        stderr: events, one short line each (D, K, R, Y)
#   /run/af/ID.step: what is known of a command, one line each: began, by WATCHER, mark MARK (of its environment),
#   pid GROUP, rc CODE MORE KILLED [WHY], out gone
#   /run/af/MARK.call .call.go: what it is, for its shell to read, and that it may
#   /run/af/ID.out .cwd: its output and last working directory
#   /run/af/ID.cut .tail .flood: how much of a flood was cut out of .out after its head, what stood before the cut, and
#   that it came so fast that there may have been no room
#   /run/af/oom reserve probe: how often the kernel killed for memory, and room that is kept or tried for
# A call ends in the word E, so that half a line, left by a host that died, does nothing. The host that comes after it
# asks by ID (Q); events carry a word of the host's that commands don't know.
D=/run/af
# Before every event: what a stray process left on the stream without a line's end must not swallow it.
N='
'
HEAD=65536
FLOOD=8388608
# With so much in one output, /run/af may have been full.
NEARLY=33554432
# How many shells wait for their calls.
AHEAD=3
# Looked for once: a search of PATH before each command is several failed calls of exec.
find_program() {
  program= IFS=:
  for folder in $PATH; do [ -z "$program" ] && [ -x "$folder/$1" ] && program=$folder/$1; done
  unset IFS
  [ -n "$program" ]
}
AF_SETSID=
find_program setsid && AF_SETSID=$program
AF_SHELL=bash
find_program bash || { AF_SHELL=sh; find_program sh; }
AF_PROGRAM=${program:-/bin/sh}
# A command's shell. Ahead of its call it makes an empty one and stops, deaf to what other commands send to shells; woken
# by another than its watcher it ends. The call goes as soon as it is read: no other command may read the word in it.
AF_SIGNALS='HUP INT QUIT USR1 USR2 TERM'
AF_RUN='[ -z "$2" ] || { trap "" '$AF_SIGNALS'; : >"$1"; kill -STOP $$; [ -e "$1.go" ] || exit 1; trap - '$AF_SIGNALS'; }; . "$1"; : >"$1"'
AF_RUN=$AF_RUN'; exec >>"/run/af/${__id:?}.out" 2>&1; cd -- "${__cwd:?}" || exit 1; __at=$PWD'
AF_RUN=$AF_RUN'; trap "[ \"\$PWD\" = \"\$__at\" ] || pwd -P >/run/af/$__id.cwd" EXIT; set --; eval "$__af"'
# At the process limit dash ends. A new shell takes over its streams, and the host (told by Y) clears up.
trap 'echo "${N}Y" >&2; exec /bin/sh -s' EXIT

complete() {
  word=
  for word; do :; done
  [ "$word" = E ]
}

# Whether the kernel killed a process of this container for its memory since the last look (cgroup v2, v1).
note_oom() {
  oom=0 before=0
  for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] || continue
    while read -r name value; do [ "$name" = oom_kill ] && oom=$value; done <"$f"
    break
  done
  read -r before <"$D/oom"
  [ "$oom" = "$before" ] || { killed=1; echo "$oom" 1<>"$D/oom"; }
}

# recall id: false when the command never began.
recall() {
  by= mark= pid= rc= gone=
  [ -s "$D/$1.step" ] || return 1
  while read -r name value; do
    case $name in by) by=$value ;; mark) mark=$value ;; pid) pid=$value ;; rc) rc=$value ;; out) gone=$value ;; esac
  done <"$D/$1.step"
}

# claim file id word call: the first line makes room for the later ones: how a command ended can be written when /run/af
# is full.
claim() {
  { printf '__id=%s # %s\n%s\n' "$2" "$3" "$4" >"$1" && printf '' >>"$D/$2.out" && echo began >>"$D/$2.step"; } 2>/dev/null
}

finish() {
  echo "rc $3" >>"$D/$1.step"
  echo "${N}D $2 $3" >&2
}

# look pid: z is the state of a process, or empty.
look() {
  z=
  [ -n "$1" ] && { read -r _ _ z _ <"/proc/$1/stat"; } 2>/dev/null
}

# start_shell mark [ahead]: as p, a command's shell in its own session.
start_shell() {
  (
    { echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null
    AF_STEP="$1;"
    export AF_STEP
    exec "$AF_SETSID" "$AF_PROGRAM" -c "$AF_RUN" "$AF_SHELL" "$D/$1.call" "$2"
  ) >/dev/null 2>&1 </dev/null &
  p=$!
}

read_call() {
  { read -r id _ word <"$D/$1.call"; } 2>/dev/null && id=${id#*=}
}

run_shell() {
  echo "pid $p" >>"$D/$id.step"
  kill -CONT $p 2>/dev/null
  wait $p 2>/dev/null
  r=$?
}

# watch mark [ahead]: starts a command's shell and tells how it ended. Ahead of the call, both stop until it is there.
watch() {
  id=
  # Without a process left for the command, this shell ends here; it says so instead of leaving the host to wait.
  trap '[ -z "$id" ] || finish "$id" "$word" "254 0 0 processes"' EXIT
  [ -n "$2" ] || read_call "$1"
  start_shell "$@"
  if [ -n "$2" ]; then
    read -r self _ </proc/self/stat
    kill -STOP "$self"
    read_call "$1" || { kill -KILL $p; return 0; }
    # It may be on its way yet, or another command has ended it.
    until look $p; [ "$z" = T ] || [ "${z:-Z}" = Z ]; do :; done
    printf '' 2>/dev/null >"$D/$1.call.go"
    run_shell
    # It ended before it had read its call.
    [ ! -s "$D/$1.call" ] || { start_shell "$1"; run_shell; }
  else
    run_shell
  fi
  kill -KILL -$p 2>/dev/null
  more=0 killed=0 full=
  [ -s "$D/$id.out" ] || [ -s "$D/$id.cut" ] && more=1
  [ -s "$D/$id.cwd" ] && more=$((more + 2))
  trap - EXIT
  if [ $r != 0 ]; then
    note_oom
    # A cut may have made room again since.
    { [ ! -e "$D/$id.flood" ] && printf %8192s . >"$D/probe"; } 2>/dev/null || full=" full"
  fi
  finish "$id" "$word" "$r $more $killed$full"
  printf '' >"$D/$1.call"
  # A success is told first. What was killed in it is no later command's.
  [ $r != 0 ] || note_oom
}

# S id word call E: starts a command in its own session, once per id, in a shell that waits for it where there is one.
S() {
  complete "$@" || return 0
  if [ -s "$D/$1.step" ]; then
    echo "${N}D $2 254 0 0 taken" >&2
    return 0
  fi
  take_ahead
  claim "$D/$m.call" "$@" || { T E; claim "$D/$m.call" "$@"; } || {
    printf '' 2>/dev/null >"$D/$m.call"
    echo "${N}D $2 254 0 0 room" >&2
    return 0
  }
  if [ -n "$ahead" ]; then
    echo "by $ahead${N}mark $m" >>"$D/$1.step"
    kill -CONT "$ahead"
  else
    watch "$m" &
    echo "by $!${N}mark $m" >>"$D/$1.step"
  fi
}

# As `ahead`, a watcher that waits for a call with the mark m; none where nobody does, and m is new. Dead ones go.
take_ahead() {
  ahead= others=
  for spare in $spares; do
    # One that is gone leaves z empty.
    if [ -z "$ahead" ]; then look "${spare%:*}"; else z=R; fi
    if [ "$z" = T ] && [ -e "$D/${spare#*:}.call" ]; then
      ahead=${spare%:*} m=${spare#*:}
    elif [ "${z:-Z}" != Z ]; then
      others="$others $spare"
    fi
  done
  spares=$others
  [ -n "$ahead" ] || new_mark
}

new_mark() {
  marks=$((marks + 1)) m=$up-$marks
}

# A E: starts what is missing of the shells that wait for their calls.
A() {
  complete "$@" || return 0
  set -- $spares
  while [ $# -lt $AHEAD ]; do
    new_mark
    watch "$m" ahead &
    set -- "$@" "$!:$m"
  done
  spares=$*
}

# Q id word E: done CODE MORE KILLED [WHY], running, lost (its watcher was killed, its end is not known) or none.
Q() {
  complete "$@" || return 0
  state=none
  if recall "$1"; then
    state=lost
    look "$by"
    [ -n "$z" ] && [ "$z" != Z ] && state=running
    # Only now: it may have ended in between.
    recall "$1"
    [ -z "$rc" ] || state="done $rc${gone:+ $gone}"
  fi
  echo "${N}R $2 $state" >&2
}

# K id word TERM|KILL E: ends a command; KILL also finds what left its session, by the marker in its environment.
K() {
  complete "$@" || return 0
  (
    recall "$1"
    [ -z "$pid" ] || kill "-$3" "-$pid" 2>/dev/null
    n=0
    while [ "$3" = KILL ] && [ $n -lt 20 ]; do
      found=
      for q in $(grep -l "AF_STEP=$mark;" /proc/[0-9]*/environ 2>/dev/null); do
        q=${q#/proc/}
        kill -KILL "${q%/environ}" 2>/dev/null && found=1
      done
      [ -n "$found" ] || break
      n=$((n + 1))
    done
    echo "${N}K $2 $3" >&2
  ) &
}

# O id nonce head tail E: at most head + tail bytes and one, which is everything where it is not more.
O() {
  complete "$@" || return 0
  [ ! -e "$D/$1.cut" ] || { G "$@"; return 0; }
  printf '%s-\n' "$2"
  [ ! -s "$D/$1.out" ] || head -c $(($3 + $4 + 1)) "$D/$1.out"
  printf %s "$2$2"
  [ "$5" = E ] || [ ! -r "$D/$1.cwd" ] || head -c 4097 "$D/$1.cwd"
  printf %s "$2"
}

# G id nonce head tail [cwd] E: total size, then at most `head` bytes from the start and `tail` from the end.
G() {
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
  [ "$5" = E ] || [ ! -r "$f.cwd" ] || head -c 4097 "$f.cwd"
  printf %s "$2"
}

# F id E: the host has the output. That the command ran, and how it ended, stays known.
F() {
  complete "$@" || return 0
  for f in "$D/$1.out" "$D/$1.tail" "$D/$1.cwd"; do
    [ ! -s "$f" ] || printf '' >"$f"
  done
  echo "out gone" >>"$D/$1.step"
}

# X id... E: nobody will ask about these commands any more.
X() {
  complete "$@" || return 0
  # Looked for here, where no call is being written: an empty one is done with.
  files=
  for f in "$D"/*.call; do
    m=${f##*/}
    case " $spares " in *":${m%.call} "*) continue ;; esac
    [ -s "$f" ] || files="$files $f $f.go"
  done
  (
    cd "$D" || exit 0
    for id; do files="$files $id.*"; done
    exec rm -f $files
  ) 2>/dev/null &
}

# Room for the tail of a flood that has filled /run/af.
keep_reserve() {
  [ -s "$D/reserve" ] || printf "%${HEAD}s" . >"$D/reserve"
} 2>/dev/null

# T E: cuts outputs that grow too large. Programs write in append mode, so they go on behind the cut.
T() {
  for f in "$D"/*.out; do
    [ -s "$f" ] || continue
    n=$(($(wc -c <"$f")))
    [ $n -gt $FLOOD ] || continue
    b=${f%.out} c=0
    [ -r "$b.cut" ] && read -r c <"$b.cut"
    # Its writers stand still, or what they write between look and cut would be lost uncounted.
    recall "${b##*/}"
    [ -z "$pid" ] || kill -STOP "-$pid" 2>/dev/null
    n=$(($(wc -c <"$f")))
    [ $n -lt $NEARLY ] || : >"$b.flood"
    tail -c $HEAD "$f" >"$b.tail" 2>/dev/null || {
      printf '' >"$D/reserve"
      tail -c $HEAD "$f" >"$b.tail" 2>/dev/null
    }
    dd if=/dev/null of="$f" bs=$HEAD seek=1 count=0 2>/dev/null
    echo $((c + n - HEAD)) >"$b.cut"
    keep_reserve
    [ -z "$pid" ] || kill -CONT "-$pid" 2>/dev/null
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

spares= marks=0
# No supervisor before this one in the container had the same marks.
read -r up _ </proc/uptime
keep_reserve
[ -s "$D/oom" ] || echo 0 >"$D/oom"
AF_UP=up
if [ -n "$AF_SETSID" ]; then echo "${N}R up" >&2; else echo "${N}R up bare" >&2; fi
