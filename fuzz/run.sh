#!/bin/bash
# Runs every fuzzer of a build for some seconds, each on a core of its own. Starts from
# fuzz/corpus/NAME and from what earlier runs of this build found interesting.
#   fuzz/run.sh FOLDER SECONDS      exit 1 when one found something; the input is kept
set -u
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: run.sh FOLDER SECONDS}
seconds=${2:?usage: run.sh FOLDER SECONDS}
symbolizer=$(command -v llvm-symbolizer-14 || true)
export ASAN_OPTIONS=${ASAN_OPTIONS:-external_symbolizer_path=$symbolizer}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:external_symbolizer_path=$symbolizer}

fuzz() {
    local program=$1 name seeds=()
    name=$(basename "$program" _fuzz)
    mkdir -p "$folder/corpus/$name" "$folder/findings"
    [ ! -d "$here/corpus/$name" ] || seeds=("$here/corpus/$name")
    if "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$folder/findings/$name-" "$folder/corpus/$name" "${seeds[@]}" \
        >"$folder/$name.log" 2>&1; then
        printf '%-16s nothing found, %s inputs\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name.log")"
    else
        printf '%-16s FAILED, see %s\n' "$name" "$folder/$name.log"
        tail -n 60 "$folder/$name.log"
        return 1
    fi
}

shopt -s nullglob
programs=("$folder"/*_fuzz)
[ ${#programs[@]} -gt 0 ] || { echo "no fuzzers in $folder" >&2; exit 1; }
failed=0 running=()
for program in "${programs[@]}"; do
    if [ ${#running[@]} -ge "$(nproc)" ]; then
        wait "${running[0]}" || failed=1
        running=("${running[@]:1}")
    fi
    fuzz "$program" &
    running+=($!)
done
for pid in "${running[@]}"; do
    wait "$pid" || failed=1
done
exit $failed
