#!/bin/bash
# The short form of tests/crash/processes/run.sh.  processes.sh BUILD
exec bash "$(dirname "$0")/processes/run.sh" "$1" --points 8000 --kills 20
