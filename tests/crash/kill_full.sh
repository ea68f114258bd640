#!/bin/bash
# The same at every point, whole and torn: hours. TQ_CRASH_POINTS limits the points of each of the four passes.
set -euo pipefail
exec bash "$(dirname "$0")/kill.sh" "$1" --full --points "${TQ_CRASH_POINTS:-150}"
