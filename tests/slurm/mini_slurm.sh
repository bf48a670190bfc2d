#!/usr/bin/env bash
# Runs a command beside real Slurm daemons, on a cluster of two nodes that is there for it alone:
#   mini_slurm.sh COMMAND [ARGUMENT...]
# Daemons, jobs and command live in namespaces of their own: their processes die with this script however it ends, their
# ports are seen by nobody else, and their files (/run, with TMPDIR) are in memory and vanish with them. Each node has a
# host name and a /dev/shm of its own, so that ranks on different nodes share no more than they would on two machines.
# Ends with the command's code; 77, with the reason, where the user is not root; 1 where root lacks what it needs.
set -euo pipefail

fail() { printf 'mini_slurm: %s\n' "$*" >&2; exit 1; }

if [ "${1:-}" != --inside ]; then
  [ $# -gt 0 ] || fail "usage: mini_slurm.sh COMMAND [ARGUMENT...]"
  if [ "$(id -u)" -ne 0 ]; then
    echo "mini_slurm: skipped: Slurm's daemons and namespaces of their own need root" >&2
    exit 77
  fi
  for program in munged slurmctld slurmd srun ip; do
    command -v "$program" >/dev/null || fail "$program is not here; 'tools/setup --tests' installs what the tests need"
  done
  reason=$(unshare --mount --uts --ipc --net --pid --fork --mount-proc true 2>&1) ||
    fail "this root may not make namespaces ($reason); a container needs --cap-add SYS_ADMIN, or --privileged"
  # If this shell dies, setpriv has unshare killed, and that kills the first process of the namespace and so all others.
  setpriv --pdeathsig KILL unshare --mount --uts --ipc --net --pid --fork --kill-child --mount-proc \
    "$0" --inside "$@" &
  trap 'kill -KILL $!; exit 143' TERM INT HUP
  code=0
  wait $! || code=$?
  exit "$code"
fi
shift

# ---- Inside: the first process of the namespace. ----
folder=/run/mini-slurm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p $folder/state $folder/{spool,tmp}-n{1,2} /run/munge /run/tmp
# Addresses beside 127.0.0.1: where that is the only one, name look-ups find nothing.
ip link set lo up
ip address add 10.0.0.1/24 dev lo
ip address add 10.0.0.2/24 dev lo
hostname controller
printf '%s\n' '127.0.0.1 localhost controller' '10.0.0.1 n1' '10.0.0.2 n2' >$folder/hosts
mount --bind $folder/hosts /etc/hosts

cat >$folder/slurm.conf <<CONF
ClusterName=mini
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
TmpFS=$folder/tmp-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
GresTypes=gpu
KillWait=5
NodeName=n[1-2] NodeHostname=n[1-2] NodeAddr=n[1-2] Port=[17001-17002] CPUs=8 RealMemory=1000 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
for gpu in 0 1 2 3; do mknod $folder/gpu$gpu c 1 3; done
printf 'NodeName=n1 Name=gpu File=%s/gpu[0-1]\nNodeName=n2 Name=gpu File=%s/gpu[2-3]\n' $folder $folder >$folder/gres.conf
echo IgnoreSystemd=yes >$folder/cgroup.conf
export SLURM_CONF=$folder/slurm.conf

logs() { tail -n 15 $folder/*.log >&2 || true; }
head -c 128 /dev/urandom >$folder/munge.key
chmod 600 $folder/munge.key
munged --key-file=$folder/munge.key --seed-file=$folder/munge.seed --log-file=$folder/munged.log \
  --pid-file=$folder/munged.pid || { logs; fail "munged did not start"; }
slurmctld || { logs; fail "slurmctld did not start"; }
for node in n1 n2; do
  unshare --mount --uts sh -c "hostname $node && mount -t tmpfs tmpfs /dev/shm && exec slurmd -N $node" ||
    { logs; fail "slurmd of $node did not start"; }
done
limit=$((SECONDS + 30))
until [ "$(sinfo --noheader --format='%D %t' 2>/dev/null)" = "2 idle" ]; do
  [ $SECONDS -lt $limit ] || { logs; fail "the two nodes are not idle after 30 s: $(sinfo --noheader --Node --long 2>&1)"; }
  sleep 0.1
done

# Open MPI: nodes reach each other over the one network there is.
export OMPI_MCA_btl_tcp_if_include=lo TMPDIR=/run/tmp
code=0
"$@" || code=$?
[ $code -eq 0 ] || logs
exit $code
