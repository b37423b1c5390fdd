#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh [OUT] - builds a Linux guest that boots from RAM, from Debian packages that are downloaded but not installed.
# OUT is build/ beside this script by default; README.md lists its contents.
#
# Needs no root. Keeps packages in $XDG_CACHE_HOME/tt-analyze (~/.cache/tt-analyze) and does not repeat finished work.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mkdir -p "${1:-$here/build}"
out=$(cd "${1:-$here/build}" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tt-analyze/packages

fail() {
    echo "build.sh: $*" >&2
    exit 2
}

for tool in apt-get dpkg-deb cpio gzip gcc strip; do
    command -v "$tool" >/dev/null || fail "$tool is missing; install it (apt-get install $tool)"
done

# The package on which the cloud kernel's metapackage depends.
kernel_package() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# The kernel package in the cache, if there is one.
kept_package() {
    ls "$cache" 2>/dev/null | sed -n 's/^\(linux-image-[0-9].*\)_[^_]*_[^_]*\.deb$/\1/p' | tail -n 1
}

# Downloads a package into the cache unless it is there; prints its path.
fetch() {
    mkdir -p "$cache"
    if ! ls "$cache/$1"_*.deb >/dev/null 2>&1; then
        (cd "$cache" && apt-get download -q "$1" >&2) || return 1
    fi
    ls "$cache/$1"_*.deb | tail -n 1
}

# Sets kernel, kernel_file, busybox_file.
fetch_packages() {
    kernel=$1
    [ -n "$kernel" ] && kernel_file=$(fetch "$kernel") && busybox_file=$(fetch busybox-static)
}

# The same with separate package lists: the machine's are missing, or too old for the archive.
fetch_from_archive() {
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    lists=$(mktemp -d)
    trap 'rm -rf "$lists"' EXIT
    APT_CONFIG=$("$root/scripts/apt-apart" "$lists" "${DEBIAN_MIRROR:-http://deb.debian.org/debian} $release main" \
        "${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security} $release-security main") || fail "no packages"
    export APT_CONFIG
    fetch_packages "$(kernel_package)" || fail "the packages cannot be fetched"
    unset APT_CONFIG
    rm -rf "$lists"
}

fetch_packages "$(kernel_package)" || fetch_packages "$(kept_package)" || fetch_from_archive

# Nothing to do if the packages and sources are the same as before.
stamp=$(cat "$here/build.sh" "$here/init" "$here/roam.c" "$here/walk.c" | cksum; gcc --version | head -n 1; basename "$kernel_file"; basename "$busybox_file")
if [ -f "$out/stamp" ] && [ "$(cat "$out/stamp")" = "$stamp" ]; then
    echo "$out"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=${kernel#linux-image-}
dpkg-deb --fsys-tarfile "$kernel_file" | tar -x -C "$work" \
    "./boot/vmlinuz-$version" \
    "./lib/modules/$version/kernel/drivers/virtio" \
    "./lib/modules/$version/kernel/drivers/block/virtio_blk.ko"
dpkg-deb --fsys-tarfile "$busybox_file" | tar -x -C "$work" ./bin/busybox

tree=$work/tree
rm -rf "$out/modules"
mkdir -p "$out/modules"
mkdir -p "$tree/bin" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/tmp" "$tree/modules"
cp "$work/bin/busybox" "$tree/bin/"
cp "$here/init" "$tree/init"
chmod 755 "$tree/init" "$tree/bin/busybox"
modules=$work/lib/modules/$version/kernel/drivers
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci; do
    cp "$modules/virtio/$module.ko" "$tree/modules/"
done
cp "$modules/block/virtio_blk.ko" "$tree/modules/"
cp "$tree/modules/"*.ko "$out/modules/"

# compile OUTPUT [FLAG...]: the program that init runs, with DWARF that does not depend on the folder of the sources.
compile() {
    output=$1
    shift
    (cd "$here" && gcc -std=c11 -O2 -g -gdwarf-4 -Wall -Wextra -Werror -fPIE -static-pie -Wl,--build-id=none \
        -ffile-prefix-map="$root=." "$@" -o "$output" roam.c) || fail "roam.c cannot be compiled (libc6-dev?)"
}

# The program for debuggers, at a fixed address.
(cd "$here" && gcc -std=c11 -O0 -g -gdwarf-4 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-stack-protector \
    -fcf-protection=none -static -no-pie -nostdlib -Wl,--build-id=none -Wl,-Ttext-segment=0x400000 \
    -ffile-prefix-map="$root=." -o "$out/walk" walk.c) || fail "walk.c cannot be compiled"

# pack PROGRAM: writes an archive of the tree, with that program as /bin/roam.
pack() {
    strip -o "$tree/bin/roam" "$1"
    strip -o "$tree/bin/walk" "$out/walk"
    find "$tree" -exec touch -h -d @0 {} +
    (cd "$tree" && find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0)
}

rm -f "$out/stamp"
compile "$out/roam"
compile "$work/roam-data" -DCONSTANT=0x7f4a7c15u
pack "$work/roam-data" >"$out/initramfs-data.cpio"
pack "$out/roam" >"$out/initramfs.cpio"
gzip -n -9 <"$out/initramfs.cpio" >"$out/initramfs.gz"
# They differ in the four bytes of the constant only.
[ "$(cmp -l "$out/initramfs.cpio" "$out/initramfs-data.cpio" | wc -l)" -eq 4 ] ||
    fail "the changed program differs in more than its constant"
cp "$work/boot/vmlinuz-$version" "$out/vmlinuz"

# The disk: commands for init, lines of text, then zeros up to a megabyte.
{
    for number in 12 7 30 4 21 9 16 25; do
        echo "count $number"
    done
    echo "say the disk has been read"
    echo "end"
} >"$out/disk.img"
truncate -s 1M "$out/disk.img"

echo "console=ttyS0 panic=-1 quiet tsc=reliable nokaslr" >"$out/cmdline"
dpkg-deb -W --showformat='${Package}=${Version}\n' "$kernel_file" >"$out/kernel"
printf '%s' "$stamp" >"$out/stamp"
echo "$out"
