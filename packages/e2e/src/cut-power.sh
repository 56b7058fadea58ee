# Leaves of a lab host what a power failure would: see power.ts. PID 1 and its child are the lab's.
set -eu
idle=$(cut -d ' ' -f 1 /proc/1/task/1/children)
for dir in /proc/[0-9]*; do
  pid=${dir#/proc/}
  case $pid in 1 | "$idle" | "$$") ;; *) kill -KILL "$pid" 2>/dev/null || : ;; esac
done
awk '$2 ~ "^/(run/(docker|weave|netns|containerd)|var/lib/docker)/" { print $2 }' /proc/self/mounts | tac | xargs -r umount -l
find /run -mindepth 1 -maxdepth 1 ! -name lab ! -name lock -exec rm -rf {} +
nft flush ruleset
links() { ip -o link | awk -F'[ :@]+' '$2 != "lo" && $2 != "eth0" { print $2 }'; }
for link in $(links); do ip link del "$link" 2>/dev/null || :; done
while [ -n "$(links)" ]; do sleep 0.05; done
echo 0 >/proc/sys/net/ipv4/ip_forward
