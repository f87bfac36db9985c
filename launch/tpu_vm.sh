#!/usr/bin/env bash
# A TPU slice on Google Cloud, from nothing to results.
#
#   launch/tpu_vm.sh create                      ask for a slice (queued; --spot by default)
#   launch/tpu_vm.sh status                      WAITING_FOR_RESOURCES, PROVISIONING, ACTIVE, SUSPENDED, FAILED
#   launch/tpu_vm.sh push                        copy this checkout to every worker and install it
#   launch/tpu_vm.sh run --config=... [...]      train on all workers; run it again to continue
#   launch/tpu_vm.sh pull DIRECTORY              copy results, manifests and measures from the bucket
#   launch/tpu_vm.sh delete                      give the slice back; the bucket stays
#
# Settings from the environment: NAME ZONE TYPE RUNTIME PROJECT WORKDIR (gs://bucket/folder; needed by run, pull) and
# SPOT (1, or 0 for on demand).
# With --dry_run anywhere among the arguments the commands are printed and nothing is done.
set -euo pipefail
NAME=${NAME:-collapse-jax}
ZONE=${ZONE:-us-west4-a}
TYPE=${TYPE:-v5litepod-4}
RUNTIME=${RUNTIME:-v2-alpha-tpuv5-lite}
SPOT=${SPOT:-1}
where=("--zone=$ZONE")
[[ -z ${PROJECT:-} ]] || where+=("--project=$PROJECT")

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dry=0 arguments=()
for argument in "$@"; do
  if [[ $argument == --dry_run ]]; then dry=1; else arguments+=("$argument"); fi
done
(( ${#arguments[@]} )) || usage
action=${arguments[0]} rest=("${arguments[@]:1}")

do_it() {
  if (( dry )); then printf '%q ' "$@"; echo; else "$@"; fi
}
on_all_workers() {
  do_it gcloud compute tpus tpu-vm ssh "$NAME" "${where[@]}" --worker=all --command="$1"
}
must_match() {  # NAME VALUE PATTERN WHAT: values from outside are neither flags nor code
  [[ $2 =~ ^($3)$ ]] || { printf '%s=%q: must be %s\n' "$1" "$2" "$4" >&2; exit 2; }
}
need_bucket() { must_match WORKDIR "${WORKDIR:-}" 'gs://[^/[:space:]].*' gs://bucket/folder; }
must_match SPOT "$SPOT" '[01]' '0 or 1'
for setting in NAME ZONE TYPE RUNTIME; do
  must_match "$setting" "${!setting}" '[a-z0-9]([a-z0-9.-]*[a-z0-9])?' 'small letters, digits and -'
done
must_match PROJECT "${PROJECT:-}" '|[a-z0-9]([a-z0-9.:-]*[a-z0-9])?' 'the ID of a project'

case $action in
  create)
    extra=()
    [[ $SPOT == 0 ]] || extra+=(--spot)
    do_it gcloud compute tpus queued-resources create "$NAME" "${where[@]}" --node-id="$NAME" \
      --accelerator-type="$TYPE" --runtime-version="$RUNTIME" "${extra[@]}"
    ;;
  status)
    do_it gcloud compute tpus queued-resources describe "$NAME" "${where[@]}" --format="value(state.state)"
    ;;
  push)
    archive=$(mktemp -d)/collapse_jax.tar.gz
    do_it git -C "$(dirname "$0")/.." archive --output="$archive" HEAD
    do_it gcloud compute tpus tpu-vm scp "$archive" "$NAME:collapse_jax.tar.gz" "${where[@]}" --worker=all
    on_all_workers "mkdir -p collapse_jax && tar -xzf collapse_jax.tar.gz -C collapse_jax \
&& python=\$(collapse_jax/launch/python.sh) && \"\$python\" -m venv venv && venv/bin/pip install -q -e 'collapse_jax[tpu,gcs]'"
    ;;
  run)
    need_bucket
    (( ${#rest[@]} )) || usage
    flags=$(printf '%q ' "${rest[@]}")
    on_all_workers "cd collapse_jax && ../venv/bin/python -m collapse_jax train --distributed \
--workdir=$(printf %q "$WORKDIR") $flags"
    ;;
  pull)
    need_bucket
    (( ${#rest[@]} == 1 )) || usage
    must_match DIRECTORY "${rest[0]}" '[^-].*' 'a folder'
    do_it mkdir -p "${rest[0]}"
    do_it gcloud storage rsync "$WORKDIR" "${rest[0]}" --recursive --exclude='.*(checkpoints|snapshots)/.*'
    ;;
  delete)
    do_it gcloud compute tpus queued-resources delete "$NAME" "${where[@]}" --force --quiet
    ;;
  *) usage ;;
esac
