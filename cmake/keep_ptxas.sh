#!/bin/sh
# Run a compiler of CUDA; what ptxas tells of each kernel is kept in OBJECT.ptxas, all else is shown.
#   sh keep_ptxas.sh OBJECT nvcc ...
object=$1
shift
"$@" 2>"$object.ptxas"
status=$?
grep -Ev "^ptxas info|^ +[0-9]+ bytes stack frame|^$" "$object.ptxas" >&2
exit $status
