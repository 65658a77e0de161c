# Asks npm what the registry knows. Writes records "KEY NUL TEXT NUL", each text a document of npm's own or a file.
#   facts NAME@RANGE...: what was published of each, and the audit of the lock file, under the key "audit"
#   audit: that alone
#   changelogs NAME@VERSION...: the changelog inside each package
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export npm_config_update_notifier=false npm_config_fund=false
most=200000

record() {
  printf '%s\0' "$1"
  head -c "$2" "$3" 2>/dev/null | tr -d '\0'
  printf '\0'
}

audit() {
  npm audit --package-lock-only --json >"$scratch/audit" 2>/dev/null </dev/null
  record audit 5000000 "$scratch/audit"
}

# Four at a time, each into a file with its number.
each() {
  work=$1
  shift
  i=0
  for spec; do
    i=$((i + 1))
    "$work" "$spec" "$scratch/$i" &
    [ $((i % 4)) -ne 0 ] || wait
  done
  wait
  i=0
  for spec; do
    i=$((i + 1))
    record "$spec" $most "$scratch/$i"
  done
}

published() {
  npm view "$1" name version deprecated dist-tags.latest --json >"$2" 2>/dev/null </dev/null
}

changelog() {
  mkdir "$2.d" && npm pack "$1" --pack-destination "$2.d" >/dev/null 2>&1 </dev/null
  for archive in "$2.d"/*.tgz; do
    file=$(tar -tzf "$archive" 2>/dev/null | grep -iE '^[^/]+/(changelog|changes|history|release-?notes)(\.(md|markdown|txt|rst))?$' | head -n 1)
    [ -z "$file" ] || tar -xzOf "$archive" "$file" >"$2" 2>/dev/null
  done
  rm -rf "$2.d"
}

verb=$1
shift
case $verb in
facts)
  each published "$@"
  audit
  ;;
audit) audit ;;
changelogs) each changelog "$@" ;;
esac
exit 0
