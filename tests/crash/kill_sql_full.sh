#!/bin/bash
# The same at many more points, a long workload, in every journal mode. TQ_CRASH_POINTS limits the points of each of
# the nine passes.  kill_sql_full.sh BUILD [SEED]
set -euo pipefail
exec bash "$(dirname "$0")/kill_sql.sh" "$1" --full --points "${TQ_CRASH_POINTS:-20}" --seed "${2:-1000}"
