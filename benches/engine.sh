#!/usr/bin/env bash
# Everything that is measured about the engine alone, and its peer in the same run, as Markdown.
#
#   benches/engine.sh [EVENTS] [REPEAT] > run.md     EVENTS defaults to 1000000, REPEAT to 3
#
# Builds first unless BENCH_BIN names a folder with the programs. Times are given by the wall and by
# the CPU time that the work had, so that a machine which does other things too can be told.
set -euo pipefail
cd "$(dirname "$0")"
events=${1:-1000000}
repeat=${2:-3}
binaries=${BENCH_BIN:-${CARGO_TARGET_DIR:-target}/release}
# As in deploy/.
export MIMALLOC_PURGE_DELAY=10000
headline=open_invoices,ar_aging,project_profitability,completion_streaks
if [ -z "${BENCH_BIN:-}" ]; then
    cargo build --locked --release --bins >&2
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

section() { printf '\n## %s\n\n`%s`\n\n' "$1" "$2"; }
run() {
    local title=$1 program=$2
    shift 2
    section "$title" "$program $*"
    "$binaries/$program" "$@"
}

echo "$(nproc) cores, $(awk '/model name/ {sub(/.*: /, ""); print; exit}' /proc/cpuinfo), $(uname -sr), $(rustc --version)"
echo "load before: $(cut -d' ' -f1-3 /proc/loadavg)"
run "All built-in views, by size of batch" engine all --events "$events" --repeat "$repeat"
run "The same, one firm" engine all --events "$events" --tenants 1 --batch 10000,65536 --repeat "$repeat"
run "The same, 2,400 firms" engine all --events "$events" --tenants 2400 --batch 10000,65536 --repeat "$repeat"
run "Each view" engine each --events "$events"
run "A lone event" engine lone --events "$events"
run "The headline views" engine all --events "$events" --views "$headline" --batch 10000,65536 --repeat "$repeat"
for batch in 10000 65536; do
    "$binaries/engine" export --events "$events" --batch "$batch" --views "$headline" "$data/$batch"
    for _ in $(seq "$repeat"); do
        section "The headline views on dbsp, batches of $batch" "peer views DIR"
        "$binaries/peer" views "$data/$batch"
    done
done
"$binaries/nexmark-views" --events 100000 --batch 10000 --export "$data/nexmark" >/dev/null
"$binaries/peer" nexmark --events 100000 --batch 10000 --check "$data/nexmark" >/dev/null
run "Nexmark" nexmark-views --events "$events"
run "Nexmark on dbsp" peer nexmark --events "$events"
echo
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
