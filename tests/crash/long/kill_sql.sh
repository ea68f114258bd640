#!/bin/bash
# As ../kill_sql.sh, at many more points, with a long workload, in every journal mode: a command of its own, no part
# of scripts/test. TQ_CRASH_POINTS limits the points of each of the nine passes.  kill_sql.sh BUILD [SEED]
set -euo pipefail
exec bash "$(dirname "$0")/../kill_sql.sh" "$1" --full --points "${TQ_CRASH_POINTS:-60}" --seed "${2:-1000}"
