# PID 1 of a lab host: arranges its mounts, says "ready", then only reaps.
# Started by host.ts in new network, mount, pid and uts namespaces; /proc is still the machine's.
# usage: boot-host.sh NAME SCRATCH_DIR NODE COMMANDS_DIR nft|legacy
set -eu
name=$1 scratch=$2 node=$3 commands=$4 iptables=$5

read -r pid _ </proc/self/stat
echo "pid $pid"

mount --make-rprivate /
mount -t tmpfs lab "$scratch"
mkdir "$scratch/cgroup"
mount --rbind /sys/fs/cgroup "$scratch/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$scratch/cgroup" /sys/fs/cgroup
umount -l "$scratch/cgroup"
mount -t proc proc /proc

# What a host writes below these stays in its own memory; what the machine has there is seen.
for dir in /etc /var/lib /var/log; do
  mkdir -p "$scratch$dir/upper" "$scratch$dir/work"
  mount -t overlay lab -o "lowerdir=$dir,upperdir=$scratch$dir/upper,workdir=$scratch$dir/work" "$dir"
done
# These begin empty, whatever the machine has there.
for dir in /run /var/lib/docker /var/lib/containerd /var/lib/weave /var/lib/cni /etc/docker /etc/cni /etc/weave; do
  mkdir -p "$dir"
  mount -t tmpfs -o mode=755 lab "$dir"
done
mkdir -p /run/lock /run/lab/bin
mount --make-rshared / # as systemd leaves it

hostname "$name"
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
rm -f /etc/resolv.conf
: >/etc/resolv.conf

for tool in iptables ip6tables; do
  for verb in '' -save -restore; do
    ln -sf "/usr/sbin/$tool-$iptables$verb" "/etc/alternatives/$tool$verb"
  done
done
ln -s /usr/bin/docker /run/lab/bin/docker
for command in weave weave-docker-plugin; do
  printf '#!/bin/sh\nexec %s %s "$@"\n' "$node" "$commands/$command.cjs" >"/run/lab/bin/$command"
  chmod +x "/run/lab/bin/$command"
done

cd /
echo ready
exec docker-init -- sleep infinity >/dev/null 2>&1
