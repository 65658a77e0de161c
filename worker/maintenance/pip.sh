# Asks pip which versions an index has. Writes records "NAME NUL TEXT NUL", each text what `pip index versions` prints.
#   versions INDEX EXTRA NAME...: both addresses may be empty
#   write PATH TEXT: gives a file of the repository this text
if [ "$1" = write ]; then
  printf %s "$3" >"$2"
  exit
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
[ -z "$2" ] || export PIP_INDEX_URL="$2"
[ -z "$3" ] || export PIP_EXTRA_INDEX_URL="$3"
shift 3
i=0
for name; do
  i=$((i + 1))
  python3 -m pip index versions "$name" >"$scratch/$i" 2>/dev/null </dev/null &
  [ $((i % 4)) -ne 0 ] || wait
done
wait
i=0
for name; do
  i=$((i + 1))
  printf '%s\0' "$name"
  head -c 100000 "$scratch/$i" | tr -d '\0'
  printf '\0'
done
