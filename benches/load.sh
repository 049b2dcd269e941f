#!/usr/bin/env bash
# The rate at which a file of events goes in over HTTP, and is in every view.
#
#   benches/load.sh [FILE] [RUNS]     after `make release`; FILE defaults to AdventureWorks
#
# Each run starts the service on an empty folder, creates the tenant and loads the file with
# `tidemark load`, which shares the machine with the service. Prints what `load` printed, the
# service's peak memory, and how long a restart takes to replay the log.
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:-benches/data/adventureworks.ndjson.gz}
runs=${2:-5}
binary=${TIDEMARK_BIN:-target/release/tidemark}
# head closes the pipe early, which is no failure here.
tenant=$({ zcat -f "$file" 2>/dev/null || true; } | head -n 1 | sed -E 's/.*"tenantid":"([^"]*)".*/\1/')
export TIDEMARK_JWT_SECRET=0123456789abcdef0123456789abcdef-bench
listen=127.0.0.1:18080
url=http://$listen
data=$(mktemp -d)
service=
stop() { [ -z "$service" ] || { kill "$service" 2>/dev/null || true; wait "$service" 2>/dev/null || true; service=; }; }
trap 'stop; rm -rf "$data"' EXIT

serve() {
    "$binary" serve --data "$data/d" --listen "$listen" 2>"$data/log" &
    service=$!
    for _ in $(seq 600); do
        curl -fsS "$url/readyz" >/dev/null 2>&1 && return
        sleep 0.05
    done
    cat "$data/log" >&2
    exit 1
}

echo "$(nproc) cores, $(awk '/model name/ {sub(/.*: /, ""); print; exit}' /proc/cpuinfo), $(uname -sr)"
for run in $(seq "$runs"); do
    rm -rf "$data/d"
    serve
    curl -fsS "$url/v1/platform/tenants" -H "Authorization: Bearer $("$binary" token --role platform)" \
        -H 'Content-Type: application/json' -o /dev/null \
        -d '{"id":"'"$tenant"'","name":"Bench","timezone":"UTC","currency":"USD","clock":"fixed:2014-06-30"}'
    echo "run $run:"
    "$binary" load "$file" --url "$url" --token "$("$binary" token --tenant "$tenant" --role admin)"
    grep VmHWM "/proc/$service/status"
    stop
    begun=$(date +%s.%N)
    serve
    echo "restart: $(echo "$(date +%s.%N) - $begun" | bc) s"
    stop
done
