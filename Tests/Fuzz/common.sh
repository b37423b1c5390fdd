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

for source in "$root"/Sources/CTTLog/*.c; do
    object=$work/objects/$(basename "$source" .c).o
    if [ ! "$object" -nt "$source" ]; then
        clang -std=c11 -O1 -g -fsanitize=address,fuzzer-no-link -I"$root/Sources/CTTLog/include" -c "$source" -o "$object"
    fi
done

# Without this, a crash starts a backtracer that keeps the pipe open.
export SWIFT_BACKTRACE=enable=no
