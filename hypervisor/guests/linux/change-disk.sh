#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# change-disk.sh DISK CHANGED - copies the Linux guest's disk and changes one byte of the copy: the first number on it,
# 12, becomes 13, so that a loop in the guest's shell takes one more turn.
set -eu

[ $# -eq 2 ] || {
    echo "usage: change-disk.sh DISK CHANGED" >&2
    exit 2
}
[ "$(head -c 8 "$1")" = "count 12" ] || {
    echo "change-disk.sh: $1: expected 'count 12' at its beginning; make it with build.sh" >&2
    exit 2
}
cp "$1" "$2"
printf 3 | dd of="$2" bs=1 seek=7 conv=notrunc status=none
