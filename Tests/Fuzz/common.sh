# SPDX-License-Identifier: GPL-2.0-or-later
# What the fuzz harnesses share; sourced, with their arguments [SECONDS] [WORKDIR]. Sets seconds, root and work, builds
# the log's C sources into $work/objects, and stands in $work.
set -eu
seconds=${1:-60}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${2:-$root/.build-fuzz}
mkdir -p "$work/objects" "$work/modules"
work=$(cd "$work" && pwd)
cd "$work" # swiftc leaves modules for the debugger where it runs

for source in "$root"/Sources/CTTLog/*.c; do
    object=$work/objects/$(basename "$source" .c).o
    if [ ! "$object" -nt "$source" ]; then
        clang -std=c11 -O1 -g -fsanitize=address,fuzzer-no-link -I"$root/Sources/CTTLog/include" -c "$source" -o "$object"
    fi
done

# A crashing Swift program would start a backtracer that holds on to the pipe.
export SWIFT_BACKTRACE=enable=no
