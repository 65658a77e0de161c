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

# What git takes into no index: a name of .git is listed without content, for the host to refuse it by name; a pipe or
# socket in a file's place counts as the file's deletion. Anything else is an error.
sort_out() {
  git ls-files -z -m -o --exclude-standard >/tmp/left
  xargs -0 -r sh -c 'for p; do
    if [ -L "$p" ]; then form=120000
    elif [ -f "$p" ] || [ -d "$p" ]; then form=100644
    elif [ -e "$p" ]; then printf "%s\0" "$p" >>/tmp/special; continue
    else exit 1
    fi
    case $form/$p/ in
    */.[gG][iI][tT]/* | 120000/*.[gG][iI][tT][mM][oO][dD][uU][lL][eE][sS]/) ;;
    *) exit 1 ;;
    esac
    printf ":000000 %s %s %s A\0%s\0" $form "$0" "$0" "$p" >>/tmp/named
  done' "$(echo "$commit" | tr 0-9a-f 0)" </tmp/left || return 1
  git update-index -z --force-remove --stdin </tmp/special
}
: >/tmp/named
: >/tmp/special
git add -A --ignore-errors >/tmp/said 2>&1 || sort_out || { head -c 4000 /tmp/said; exit 65; }
if grep 'Permission denied$' /tmp/said >/tmp/closed; then head -c 4000 /tmp/closed; exit 65; fi

if [ "$verb" = diff ]; then
  git diff-index --cached --name-only --no-renames -z "$base" |
    xargs -0 -r git diff-index --cached -p -M --no-ext-diff --no-textconv --no-color "$commit" --
  exit 0
fi
git diff-index --cached --raw --no-renames --no-abbrev -z "$base" >/tmp/raw
[ "$verb" != list ] || cat /tmp/named >>/tmp/raw
wc -c </tmp/raw
cat /tmp/raw
[ "$verb" = list ] || exit 0
tr '\0' '\n' </tmp/raw | awk '/^:/ && $2 != "000000" && $2 != "160000" && $4 ~ /[^0]/ { print $4 }' | sort -u | git cat-file --batch
