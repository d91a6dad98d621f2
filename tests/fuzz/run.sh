#!/bin/sh
# run.sh BUILD SECONDS - each target for SECONDS, then each with a planted bug,
# which it must find within 20 s.  What was learned stays in the cache folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 seconds=$2
cache="${MANIFOLD_CACHE:-$here/../../.cache}/fuzz"
for target in framer:json reader:json manifest:yaml page:page; do
    name=${target%:*} dict=${target#*:}
    mkdir -p "$cache/$name"
    log="$cache/$name.log"
    seeds=
    [ -d "$here/$name" ] && seeds="$here/$name"
    if ! "$build/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$cache/crash-$name-" -dict="$here/$dict.dict" "$cache/$name" $seeds >"$log" 2>&1; then
        tail -n 40 "$log"
        echo "fuzz: $name found something; the input is beside $log"
        exit 1
    fi
    echo "fuzz: $name: nothing found in $(sed -n 's/.*number_of_executed_units: *//p' "$log") runs, $seconds s"
done
python3 "$here/planted.py" "$build"
