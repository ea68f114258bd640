#!/bin/bash
# Every command and option of tqshell is tested, documented and completed. tests/shell/surface.sh <build folder>
set -euo pipefail
exec python3 "$(dirname "$0")/surface.py" "$1"
