# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the fuzz scripts, which source it with their arguments [SECONDS] [WORKDIR]. Sets seconds, root and work, builds
# the log's C sources into $work/objects, and changes to $work.
set -eu
seconds=${1:-60}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${2:-$root/.build-fuzz}
mkdir -p "$work/objects" "$work/modules"
work=$(cd "$work" && pwd)
cd "$work" # swiftc writes debugger modules to the current directory

for source in "$root"/Sources/CTTLog/*.c "$root"/Sources/CDemangle/*.c "$root"/Sources/CFileGuard/*.c; do
    object=$work/objects/$(basename "$source" .c).o
    if [ ! "$object" -nt "$source" ]; then
        clang -std=c11 -O1 -g -fsanitize=address,fuzzer-no-link -I"$root/Sources/CTTLog/include" \
            -I"$root/Sources/CDemangle/include" -I"$root/Sources/CFileGuard/include" -c "$source" -o "$object"
    fi
done

# Copies the Swift files of some folders of Sources to the folder $1, as one module: without their imports of each other.
one_module() {
    module=$1
    shift
    rm -rf "$module"
    mkdir "$module"
    for room in "$@"; do
        find "$root/Sources/$room" -name '*.swift' | while read -r source; do
            without_rooms "$source" >"$module/$(echo "$room" | tr / -)-$(basename "$source")"
        done
    done
}

# Prints Swift files without their imports of rooms.
without_rooms() {
    sed -E '/^import (Formatting|LogFormat|CallTree|Symbolize|MachineCode|BranchAnalysis|TraceIndex|RunDirectory)$/d' "$@"
}

# What all harnesses are compiled with.
swift_flags="-swift-version 6 -O -g -wmo -parse-as-library -use-ld=lld -sanitize=address -package-name fuzz
    -I $root/Sources/CTTLog/include -I $root/Sources/CZlib -I $root/Sources/CElfutils -I $root/Sources/CCapstone
    -I $root/Sources/CPrefetch -I $root/Sources/CZstd -I $root/Sources/CLzma -I $root/Sources/CDemangle/include
    -I $root/Sources/CFileGuard/include -I $root/Sources/CSQLite -I $root/Sources/CNettle -module-cache-path $work/modules"
libraries="-lzstd -lz -llzma -liberty -ldw -lelf -lcapstone -lpthread"

# Without this, a crash starts a backtracer that keeps the pipe open.
export SWIFT_BACKTRACE=enable=no
