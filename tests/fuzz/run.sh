#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs fuzz targets for some seconds each, as many at a time as there are processors, or
# FUZZ_JOBS.
# run.sh BUILD SECONDS TARGET...  One line a target; exit 1 when one has a finding, whose
# input is kept in BUILD/findings.  FUZZ_SEED=N begins with other inputs: 1 when it is not
# given, so that a run can be repeated; 0 is another one each time.
set -eu

build=$1
seconds=$2
shift 2

if [ "${1:-}" != --one ]; then
    printf '%s\n' "$@" | xargs -r -n 1 -P "${FUZZ_JOBS:-$(nproc)}" \
        "$0" "$build" "$seconds" --one
    exit
fi

program=$build/tests/fuzz/$2
name=${2#fuzz-}
log=$build/fuzz-logs/$name
corpus=$build/corpus/$name
mkdir -p "$build/fuzz-logs" "$build/findings" "$corpus"
set -- "-max_total_time=$seconds" "-seed=${FUZZ_SEED:-1}" -timeout=25 \
    -rss_limit_mb=2048 -print_final_stats=1 \
    "-artifact_prefix=$build/findings/$name-"
[ ! -e "tests/fuzz/$name.dict" ] || set -- "$@" "-dict=tests/fuzz/$name.dict"
set -- "$@" "$corpus"
[ ! -d "tests/fuzz/seeds/$name" ] || set -- "$@" "tests/fuzz/seeds/$name"

export G_SLICE=always-malloc
export UBSAN_OPTIONS=print_stacktrace=1
if "$program" "$@" > "$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    cover=$(sed -n 's/.*cov: \([0-9]*\).*/, \1 edges/p' "$log" | tail -n 1)
    echo "ok     fuzz-$name: $runs runs in $seconds s$cover"
else
    grep -E -A 12 'ERROR|runtime error|Test unit written' "$log" | head -n 40
    echo "FAILED fuzz-$name: see $log and $build/findings"
    exit 1
fi
