#!/bin/sh
# The note and the one export survive section garbage collection, optimisation and
# the sanitizers in every compiler that is here; and the check itself can fail.
#
# usage: check_note.sh SOURCE_DIR
set -u
src=$1
here=$src/tests/sdk
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
build() {
    compiler=$1
    out=$2
    shift 2
    $compiler -fPIC -shared -fvisibility=hidden -I"$src/sdk/include" -o "$out" "$@" -Wl,--gc-sections \
        -Wl,--version-script="$src/sdk/cmake/plugin.map" || exit 1
}
count=0
for compiler in gcc clang; do
    command -v $compiler >/dev/null || { echo "skipped: $compiler is not installed"; continue; }
    for flags in -O0 "-O2 -ffunction-sections -fdata-sections" "-O2 -flto" "-O1 -fsanitize=address,undefined" \
        "-O1 -fsanitize=thread"; do
        build $compiler "$work/plugin.so" $flags "$src/sdk/template/hello.c"
        count=$((count + 1))
        sh "$here/check_exports.sh" "$work/plugin.so" || { echo "  in: $compiler $flags"; bad=$((bad + 1)); }
    done
done
# A plugin without the note, and one with a second export, are found.
sed 's/^MF_NOTE();//' "$src/sdk/template/hello.c" >"$work/no_note.c"
build cc "$work/no_note.so" "$work/no_note.c"
sh "$here/check_exports.sh" "$work/no_note.so" && { echo "a plugin without a note passes"; bad=$((bad + 1)); }
{ cat "$src/sdk/template/hello.c"; echo 'MF_EXPORT int more; int more;'; } >"$work/more.c"
cc -fPIC -shared -I"$src/sdk/include" -o "$work/more.so" "$work/more.c" || exit 1
sh "$here/check_exports.sh" "$work/more.so" && { echo "a second export passes"; bad=$((bad + 1)); }
echo "$count builds, $bad complaints"
[ $bad -eq 0 ] && [ $count -gt 0 ]
