#!/bin/bash
# The transcripts in the documentation. tests/shell/transcripts.sh <build folder>
set -euo pipefail
exec python3 "$(dirname "$0")/transcripts.py" "$1"
