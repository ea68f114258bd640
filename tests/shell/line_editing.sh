#!/bin/bash
# Line editing where dialogues do not reach. tests/shell/line_editing.sh <build folder>
set -euo pipefail
exec python3 "$(dirname "$0")/line_editing.py" "$1"
