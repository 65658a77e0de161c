# Runs a measure: PREPARE MEASURE, both lines of shell. Where a part of its last pipe was not found or can't be run, it ends
# with 127 or 126, as `missing | wc -l` would not by itself. Only bash tells of that.
bash=$(command -v bash) || exec /bin/sh -ec "$1
$2"
exec "$bash" -ec 'trap '\''for part in "${PIPESTATUS[@]}"; do case $part in 126 | 127) exit "$part" ;; esac; done'\'' EXIT
'"$1
$2"
