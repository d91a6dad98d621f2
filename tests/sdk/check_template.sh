#!/bin/sh
# A third party's way: copy the template, build it out of tree against the SDK, run
# its test on the mock; from the source tree and from an installation.
#
# usage: check_template.sh SOURCE_DIR BUILD_DIR [cmake option...]   (options of the build, for the
#        installed mock, which may be built with a sanitizer)
set -eu
src=$1
build=$2
shift 2
here=$src/tests/sdk
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quiet() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}

cp -r "$src/sdk/template" "$work/hello"
quiet cmake -S "$work/hello" -B "$work/out" -DManifold_DIR="$src/sdk/cmake"
quiet cmake --build "$work/out"
quiet ctest --test-dir "$work/out" --output-on-failure
grep -q '100% tests passed' "$work/log"
sh "$here/check_exports.sh" "$work/out/plugins/hello.so"
cmp "$src/sdk/template/hello.yaml" "$work/out/plugins/hello.yaml"
if readelf -dW "$work/out/plugins/hello.so" | grep -i 'NEEDED.*manifold'; then
    echo "the plugin is linked against the host or the mock"
    exit 1
fi

# An undefined symbol is an error of the linker, not of the host's dlopen().
echo 'int nowhere(void); MF_EXPORT int use(void); int use(void) { return nowhere(); }' >>"$work/hello/hello.c"
if cmake --build "$work/out" --target plugin_hello >"$work/log" 2>&1; then
    echo "a plugin with an undefined symbol is linked"
    exit 1
fi
grep -q 'undefined.*nowhere' "$work/log"

# The same from an installation.
cp "$src/sdk/template/hello.c" "$work/hello/"
quiet cmake --install "$build" --component sdk --prefix "$work/prefix"
quiet cmake -S "$work/hello" -B "$work/out2" -DCMAKE_PREFIX_PATH="$work/prefix" "$@"
quiet cmake --build "$work/out2"
quiet ctest --test-dir "$work/out2" --output-on-failure
grep -q "$work/prefix/include" "$work/out2/build.ninja" 2>/dev/null ||
    grep -rq "$work/prefix/include" "$work/out2" --include=flags.make

# And without cmake.
if command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_PATH="$work/prefix/share/pkgconfig" pkg-config --cflags --libs manifold)
    # shellcheck disable=SC2086
    cc "$work/hello/hello.c" $flags -o "$work/hello.so"
    sh "$here/check_exports.sh" "$work/hello.so"
else
    echo "skipped: pkg-config is not installed"
fi
echo "template: all good"
