#!/bin/sh
# Every library given exports exactly manifold_plugin_v1, carries a good ELF note,
# needs no symbol of the host, and keeps the note when it is stripped.
#
# usage: check_exports.sh library.so...
set -u
bad=0
fail() {
    echo "$1: $2"
    bad=$((bad + 1))
}
note_of() {
    # What readelf says of a damaged note is part of the answer.
    readelf -n --wide "$1" 2>&1 | grep -A1 'Manifold'
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for library in "$@"; do
    exports=$(nm -D --defined-only "$library" | awk '{print $3}')
    [ "$exports" = manifold_plugin_v1 ] ||
        fail "$library" "expected manifold_plugin_v1 as the only export, found: $(echo $exports)"
    strip -o "$work/stripped.so" "$library" || fail "$library" "strip fails"
    for file in "$library" "$work/stripped.so"; do
        note=$(note_of "$file" | tr -s ' \t\n' ' ')
        case $note in
        *'Manifold 0x00000010 '*'01 00 00 00'*) ;;
        *) fail "$library" "expected the note Manifold, 16 bytes, major 1; found: $note" ;;
        esac
    done
    readelf -lW "$library" | grep -q '^ *NOTE ' || fail "$library" "no PT_NOTE"
done
echo "$# libraries, $bad complaints"
[ $# -gt 0 ] && [ $bad -eq 0 ]
