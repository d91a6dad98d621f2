#!/bin/sh
# run.sh HOST PLUGINS BAD - the published TypeScript client against the real host.
# BAD: the test plugins, by a build that HOST can load.
# The packages come from npm into the cache folder, pinned by package-lock.json;
# exit 77 (skipped) where npm can't be reached.
set -u
here=$(cd "$(dirname "$0")" && pwd)
host=$(realpath "$1") plugins=$(realpath "$2") bad=$(realpath "$3")
dir="${MANIFOLD_CACHE:-$here/../../.cache}/clients"
mkdir -p "$dir"
if ! cmp -s "$here/package-lock.json" "$dir/package-lock.json" || [ ! -e "$dir/installed" ]; then
    echo "clients: installing the pinned npm packages"
    rm -f "$dir/installed"
    cp "$here/package.json" "$here/package-lock.json" "$dir/"
    if ! (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error >npm.log 2>&1 </dev/null); then
        echo "clients: skipped: npm can't be reached ($(tail -n 1 "$dir/npm.log"))"
        exit 77
    fi
    touch "$dir/installed"
fi
cp "$here/typescript_client.mjs" "$dir/"
cd "$dir" && MANIFOLD=$host MANIFOLD_PLUGINS=$plugins MANIFOLD_BAD=$bad exec node_modules/.bin/node --test --test-reporter=spec typescript_client.mjs
