#!/bin/bash
# tqshell as it is typed at a terminal. tests/shell/dialogue.sh <build folder>
set -euo pipefail
exec python3 "$(dirname "$0")/dialogue.py" "$1"
