#!/bin/sh
# Writes busybox:latest for `docker load`, made from Debian's busybox-static: no registry is needed.
# Its stop signal is KILL, because `sleep` as PID 1 ignores TERM and would hold up every stop by 10 s.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root" "$work/image"

cd "$work/root"
mkdir bin etc root proc sys dev
mkdir -m 1777 tmp
cp /bin/busybox bin/busybox
bin/busybox --list | grep -vx busybox | while read -r applet; do ln -s busybox "bin/$applet"; done
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
tar -c --owner=0 --group=0 -f "$work/image/layer.tar" .

cd "$work/image"
digest=$(sha256sum layer.tar | cut -d' ' -f1)
cat >config.json <<END
{
  "os": "linux", "architecture": "$(dpkg --print-architecture)",
  "config": { "Cmd": ["sh"], "Env": ["PATH=/bin"], "StopSignal": "SIGKILL" },
  "rootfs": { "type": "layers", "diff_ids": ["sha256:$digest"] }
}
END
echo '[{ "Config": "config.json", "RepoTags": ["busybox:latest"], "Layers": ["layer.tar"] }]' >manifest.json
tar -c .
