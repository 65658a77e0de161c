# Runs in a helper container: objects.sh VERB [COMMIT]. The volume at /workspace holds objects that were sent to it.
#   tell: the commits whose history is there, newest first        add: what git packed comes on stdin
set -eu
cd /workspace

case $1 in
tell)
  if [ -e sent ]; then tac sent; fi
  ;;
add)
  mkdir -p pack info
  case ${2:-} in ????????????????????????????????????????????????????????????????) format=sha256 ;; *) format=sha1 ;; esac
  git init -q --bare --template= --object-format=$format /tmp/git
  GIT_DIR=/tmp/git GIT_OBJECT_DIRECTORY=/workspace git index-pack --stdin >/dev/null
  # Written last: what is named here is there, also when this was cut off.
  [ -z "${2:-}" ] || echo "$2" >>sent
  ;;
esac
