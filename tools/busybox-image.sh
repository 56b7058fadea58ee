#!/bin/sh
# Writes a busybox root file system as a tar archive: an image for `docker import`, where no registry is needed.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"
mkdir -m 755 bin etc root proc sys dev
mkdir -m 1777 tmp
cp /bin/busybox bin/busybox
bin/busybox --list | grep -vx busybox | while read -r applet; do ln -s busybox "bin/$applet"; done
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
chmod 755 .
tar -c --owner=0 --group=0 .
