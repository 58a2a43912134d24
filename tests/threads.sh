#!/bin/bash
# Runs every sample with several workers in a build with the thread sanitizer.
#   threads.sh HAKA     exit 1 when a run says that two threads met in the same memory
set -u
haka=$(realpath "${1:?usage: threads.sh HAKA}")
cd "$(dirname "$0")/../samples" || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TSAN_OPTIONS="exitcode=66 ${TSAN_OPTIONS:-}"

failed=0
for policy in */policy.lua; do
    folder=$(dirname "$policy")
    for workers in 2 4; do
        (
            cd "$folder" || exit 66
            read -ra options <options
            "$haka" run "${options[@]}" --seed 1 -j "$workers" -w "$scratch/left.pcapng" \
                --eve "$scratch/eve.json" policy.lua >"$scratch/out" 2>&1
        )
        if [ $? = 66 ]; then
            echo "$folder, $workers workers:"
            cat "$scratch/out"
            failed=1
        fi
    done
done
exit $failed
