#!/bin/bash
# As ../kill_sql.sh, at many more points, with a long workload, in every journal mode: a command of its own, no part
# of scripts/test. TQ_CRASH_POINTS limits the points of each of the nine passes.  kill_sql.sh BUILD [SEED]
#
# Known: where a disk is full for some writes, a transaction that is undone for it may be reported as SQLITE_IOERR,
# where SQLITE_FULL is asked for here (seed 1000, first pass).
set -euo pipefail
exec bash "$(dirname "$0")/../kill_sql.sh" "$1" --full --points "${TQ_CRASH_POINTS:-60}" --seed "${2:-1000}"
