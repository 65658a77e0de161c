# Runs in a helper container: workspace.sh create|copy|reset|seal COMMIT BEFORE OBJECTS...
#   create: an empty volume gets the tree at COMMIT        copy: the volume /from is copied as it is
#   reset:  copy, then tracked files (of BEFORE) become those of COMMIT        seal: the same without the copy
# 64: the commit is not there.
set -eu
verb=$1 commit=$2 before=$3
shift 3
repo=/workspace/repo

objects() { for folder; do echo "$folder"; done; }

# A repository that nobody has written to: no remotes, no refs, no hooks, no configuration of anybody's.
new_git() {
  rm -rf "$repo/.git"
  case ${#commit} in 64) format=sha256 ;; *) format=sha1 ;; esac
  git init -q --template= --object-format=$format "$repo"
  mkdir -p "$repo/.git/objects/info"
  objects "$@" >"$repo/.git/objects/info/alternates"
  git -C "$repo" config gc.auto 0
  git -C "$repo" config maintenance.auto false
  git -C "$repo" cat-file -e "$commit^{commit}" 2>/dev/null || { echo "commit $commit is not in the mirror"; exit 64; }
  echo "$commit" >"$repo/.git/HEAD"
}

tree_at() {
  cd -P "$repo"
  if [ -n "$1" ]; then
    git read-tree "$1"
    # Files that are right already stay untouched, with their times.
    git update-index -q --refresh >/dev/null || :
  fi
  git read-tree -u --reset "$commit"
  # Entries no younger than the index are read again by the first `git status`.
  touch -d "@$(($(date +%s) + 5))" .git/index
}

case $verb in
create)
  mkdir -p "$repo" /workspace/home
  new_git "$@"
  tree_at ''
  ;;
copy)
  cp -a /from/. /workspace/
  objects "$@" >"$repo/.git/objects/info/alternates"
  ;;
reset)
  cp -a /from/. /workspace/
  new_git "$@"
  tree_at "$before"
  ;;
seal)
  new_git "$@"
  tree_at "$before"
  ;;
esac
