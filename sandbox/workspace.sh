# Runs in a helper container: workspace.sh VERB COMMIT BEFORE OBJECTS...
#   create: an empty volume gets the tree at COMMIT        copy: the volume /from is copied as it is
#   reset:  copy, then tracked files (of BEFORE) become those of COMMIT        seal: the same without the copy
#   move:   tracked files become those of COMMIT; the tree's .git is one of ours, at BEFORE
#   clean:  out of the layer /upper goes what hides the commit's own files: .git, tracked paths and folders made anew
#   verify: what a cleaned layer still hides is written over it
# Says the bytes of what it made, and "bound" when the layer fits no other commit. 64: the commit is not there.
set -eu
verb=$1 commit=$2 before=$3
shift 3
repo=/workspace/repo
case ${#commit} in 64) format=sha256 ;; *) format=sha1 ;; esac

objects() { for folder; do echo "$folder"; done; }

has_commit() {
  git "$@" cat-file -e "$commit^{commit}" 2>/dev/null || { echo "commit $commit is not in the mirror"; exit 64; }
}

# A repository that nobody has written to: no remotes, no refs, no hooks, no configuration of anybody's.
new_git() {
  rm -rf "$repo/.git"
  git init -q --template= --object-format=$format "$repo"
  mkdir -p "$repo/.git/objects/info"
  objects "$@" >"$repo/.git/objects/info/alternates"
  git -C "$repo" config gc.auto 0
  git -C "$repo" config maintenance.auto false
  has_commit -C "$repo"
  echo "$commit" >"$repo/.git/HEAD"
}

write_tree() {
  git read-tree -u --reset "$commit"
  echo "$commit" >.git/HEAD
  # Entries no younger than the index are read again by the first `git status`.
  touch -d "@$(($(date +%s) + 5))" .git/index
}

tree_at() {
  cd -P "$repo"
  if [ -n "$1" ]; then
    git read-tree "$1"
    # Files that are right already stay untouched, with their times.
    git update-index -q --refresh >/dev/null || :
  fi
  write_tree
}

bytes_of() { echo "bytes $(($(du -sk "$1" | cut -f1) * 1024))"; }

# Set-up may have put a file or a link in a folder's place: folders are looked at before what is in them.
remove_tracked() {
  git ls-tree -r -d -z --name-only "$commit" >/tmp/folders
  xargs -0 -r sh -c 'for p; do [ -d "$p" ] && [ ! -L "$p" ] || rm -rf -- "$p"; done' sh </tmp/folders
  git ls-tree -r -z --name-only "$commit" | xargs -0 -r rm -rf --
  sort -rz /tmp/folders | xargs -0 -r rmdir -- 2>/dev/null || :
}

# What set-up makes outside of these may be built from the commit's own files.
added_elsewhere() {
  find . -mindepth 1 -type d \( -name node_modules -o -name .venv -o -name venv -o -name .yarn -o -name .pnpm-store \
    -o -name .bundle -o -path ./vendor/bundle -o -name .m2 -o -name .gradle -o -name .cargo \) -prune -o ! -type d -print | head -n 1
}

case $verb in
create)
  mkdir -p "$repo" /workspace/home
  new_git "$@"
  tree_at ''
  bytes_of /workspace
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
move)
  cd -P "$repo"
  objects "$@" >.git/objects/info/alternates
  has_commit
  write_tree
  ;;
clean)
  git init -q --bare --template= --object-format=$format /tmp/git
  objects "$@" >/tmp/git/objects/info/alternates
  export GIT_DIR=/tmp/git
  has_commit
  find /upper -type d ! -perm -700 -exec chmod u+rwx {} +
  if cd -P /upper/repo 2>/dev/null; then
    rm -rf .git
    remove_tracked
    [ -z "$(added_elsewhere)" ] || echo bound
  fi
  bytes_of /upper
  ;;
verify)
  cd -P "$repo"
  [ -n "$(git --no-optional-locks status --porcelain --untracked-files=no)" ] || exit 0
  echo bound
  write_tree
  ;;
esac
