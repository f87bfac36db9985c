#!/usr/bin/env bash
# Trains a grid as N shards in N processes of this machine, each on its share of the cores, and merges them.
#
#   launch/local.sh N WORKDIR --config=configs/mnist_mlp.py [--config.field=value ...]
#
# Running it again continues. Exit code: 0 done, else the code of the first shard that failed (75: preempted, saved).
# PYTHON names the Python that is used; python3, or the newest that is there, is the default.
#
# Every process has a group of its own (-m), so that Ctrl-C reaches this script alone, which hands it on once.
set -muo pipefail
[[ $# -ge 3 && $1 =~ ^[1-9][0-9]{0,3}$ ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shards=$1 workdir=$2
shift 2
python=$("$(dirname "$0")/python.sh") || exit
cores=$(nproc)
share=$(( cores / shards > 0 ? cores / shards : 1 ))

processes=() stopped=0
stop() { stopped=1; (( ! ${#processes[@]} )) || kill -TERM "${processes[@]}" 2>/dev/null; }
trap stop TERM INT HUP
for (( i = 0; i < shards; i++ )); do
  pinned=()
  if command -v taskset >/dev/null; then
    first=$(( i * share % cores ))
    pinned=(taskset --cpu-list "$first-$(( first + share - 1 ))")
  fi
  "${pinned[@]}" "$python" -m collapse_jax train --workdir="$workdir" --shard="$i/$shards" "$@" </dev/null &
  processes+=($!)
done
(( ! stopped )) || stop

code=0
for process in "${processes[@]}"; do
  # A trapped signal ends `wait` early: wait again for the process's own code.
  while wait "$process"; ended=$?; kill -0 "$process" 2>/dev/null; do :; done
  if (( ended != 0 && code == 0 )); then code=$ended; fi
done
(( code == 0 )) || exit "$code"
"$python" -m collapse_jax merge --workdir="$workdir"
