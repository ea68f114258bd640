#!/bin/bash
# The short form of tests/crash/faults/faults.sh: kills, no memory through SQL, errors through the library.
#   faults_short.sh BUILD
exec bash "$(dirname "$0")/faults/faults.sh" "$1" kill,memory,api-errors --points 25 --mode 4
