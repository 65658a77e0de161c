# Runs in a helper container that has the workspace read-only: changes.sh list|leftovers|diff COMMIT FILES BYTES OBJECTS...
# stdin: what set-up left behind, for `update-index --index-info`. Git directory, index and objects are our own; the
# tree's .git plays no part.
#   list: "SIZE\n", SIZE bytes of `diff-index --raw -z`, then `cat-file --batch` of the new contents        leftovers: the same without contents
# 65: git could not take a file in, 66: too many files, 67: too many bytes, 68: the tree is gone; the reason on stdout.
set -eu
verb=$1 commit=$2 files=$3 bytes=$4
shift 4
work=/workspace/repo
[ -d "$work" ] && [ ! -L "$work" ] || { echo "$work is no folder any more"; exit 68; }
case ${#commit} in 64) format=sha256 ;; *) format=sha1 ;; esac
git init -q --bare --template= --object-format=$format /tmp/git
mkdir -p /tmp/git/objects/info
for folder; do echo "$folder"; done >/tmp/git/objects/info/alternates
export GIT_DIR=/tmp/git GIT_WORK_TREE=$work GIT_LITERAL_PATHSPECS=1
cd -P "$work"

git read-tree "$commit"
git update-index -z --index-info
base=$(git write-tree --missing-ok)
git update-index -q --refresh >/dev/null || :
git ls-files -z -m -o --exclude-standard >/tmp/candidates
xargs -0 -r stat -c %s -- </tmp/candidates 2>/dev/null | awk '{ n++; s += $1 } END { printf "%d %.0f\n", n, s }' >/tmp/size
read -r count size </tmp/size
[ "$count" -le "$files" ] || { echo "$count files"; exit 66; }
[ "$size" -le "$bytes" ] || { echo "$size bytes"; exit 67; }
git add -A >/tmp/said 2>&1 || { head -c 4000 /tmp/said; exit 65; }

if [ "$verb" = diff ]; then
  git diff-index --cached --name-only --no-renames -z "$base" |
    xargs -0 -r git diff-index --cached -p -M --no-ext-diff --no-textconv --no-color "$commit" --
  exit 0
fi
git diff-index --cached --raw --no-renames --no-abbrev -z "$base" >/tmp/raw
wc -c </tmp/raw
cat /tmp/raw
[ "$verb" = list ] || exit 0
tr '\0' '\n' </tmp/raw | awk '/^:/ && $2 != "000000" && $2 != "160000" { print $4 }' | sort -u | git cat-file --batch
