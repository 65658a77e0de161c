# Runs in a helper container: objects.sh tell, or objects.sh add FORMAT [COMMIT]. The volume at /workspace holds objects
# that were sent to it.
#   tell: the commits whose history is there, newest first        add: what git packed comes on stdin
set -eu
cd /workspace

case $1 in
tell)
  if [ -e sent ]; then tac sent; fi
  ;;
add)
  mkdir -p pack info
  git init -q --bare --template= --object-format="$2" /tmp/git
  GIT_DIR=/tmp/git GIT_OBJECT_DIRECTORY=/workspace git index-pack --stdin >/dev/null
  # Written last: what is named here is there, also when this was cut off.
  [ -z "${3:-}" ] || echo "$3" >>sent
  ;;
esac
