#!/usr/bin/env bash
# Unpacks what tools/bundle made into an empty place and runs jobs there: unpack_and_run.sh ARCHIVE TORCH CUDA_LIBRARIES. The
# place is a root of its own in memory: glibc, a shell, the folder above TORCH (with NVIDIA's wheels) and the toolkit's
# libraries are all it sees of this machine. Ends with 77, with the reason, where the user is not root.
set -euo pipefail
fail() { printf 'unpack_and_run: %s\n' "$*" >&2; exit 1; }

if [ "${1:-}" != --inside ]; then
  [ $# -eq 3 ] || fail "usage: unpack_and_run.sh ARCHIVE TORCH CUDA_LIBRARIES"
  if [ "$(id -u)" -ne 0 ]; then
    echo "unpack_and_run: skipped: a root of its own needs root" >&2
    exit 77
  fi
  exec unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@"
fi
archive=$2 torch=$3 cuda=$4

place=$(mktemp -d)
mount -t tmpfs tmpfs "$place"
mkdir -p "$place"/{bin,lib64,lib/x86_64-linux-gnu,dev,proc,sys,tmp,root,etc,wheels,cuda}
cp /bin/dash "$place/bin/sh"
cp -L /lib64/ld-linux-x86-64.so.2 "$place/lib64/"
for library in c m dl pthread rt resolv util; do cp -L /lib/x86_64-linux-gnu/lib$library.so.? "$place/lib/x86_64-linux-gnu/"; done
cp -L /lib/x86_64-linux-gnu/libnss_files.so.2 "$place/lib/x86_64-linux-gnu/"
printf 'root:x:0:0::/root:/bin/sh\n' >"$place/etc/passwd"
printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$place/etc/hosts"
mount --bind /proc "$place/proc"
mount --rbind /sys "$place/sys"
mount --rbind /dev "$place/dev"
mount -t tmpfs tmpfs "$place/dev/shm"
mount --bind -o ro "$(dirname "$torch")" "$place/wheels"
mount --bind -o ro "$cuda" "$place/cuda"
tar -xzf "$archive" -C "$place"
bundle=$(basename "$place"/perfpipe-*)

cat >"$place/phantom.yaml" <<'YAML'
output: /cohort
stages: [phantom: {patients: 3, size: [16, 16, 2]}]
YAML
cat >"$place/job.yaml" <<'YAML'
output: /out
cohort: /cohort
stages:
  - import
  - interpolation
  - aif
  - bsvd_targets
  - binning: {samples: 200}
  - training: {epochs: 1}
  - inference: {engine: reference}
  - export
YAML
chroot=$(command -v chroot)
inside() {
  env -i PERFPIPE_LIBTORCH="${with_torch-/wheels/torch}" LD_LIBRARY_PATH=/cuda HOME=/root TMPDIR=/tmp \
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 \
    "$chroot" "$place" "$@"
}
inside "/$bundle/bin/perfpipe" doctor
inside "/$bundle/bin/perfpipe" /phantom.yaml
inside "/$bundle/bin/perfpipe" /job.yaml
inside "/$bundle/bin/mpirun" -np 2 --bind-to none "/$bundle/bin/perfpipe" /job.yaml --output /out2
diff -r -x logs -x manifest.json -x inputs.json -x .lock "$place/out" "$place/out2" || fail "two ranks gave other results than one"
# Without LibTorch all but the reference engine works, and that says what it needs.
code=0
with_torch='' inside "/$bundle/bin/perfpipe" /job.yaml --output /out3 2>"$place/words" || code=$?
[ $code -eq 5 ] || fail "without LibTorch the reference engine ended with $code, not 5"
grep -q 'needs LibTorch' "$place/words" || { cat "$place/words" >&2; fail "and did not say that it needs LibTorch"; }
with_torch='' inside "/$bundle/bin/perfpipe" /job.yaml --output /out3 --set inference.engine=dense
echo "unpack_and_run: the bundle works"
