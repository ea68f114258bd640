#!/bin/bash
# Plant bugs in a copy of the tree, and see that a test finds each: planted.py says how.  planted.sh BUILD [OPTIONS]
set -euo pipefail
exec python3 "$(dirname "$0")/planted.py" "$@"
