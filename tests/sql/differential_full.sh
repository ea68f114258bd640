#!/bin/bash
# At length: a tq table against an ordinary one, and recognised against always-right ORDER BY. Seeds and counts are
# printed; another first seed is the second argument.
set -e
seed="${2:-1000000}"
"$1/tests/test_sql" 20000
"$1/tests/test_differential" 120000 "$seed"
"$1/tests/test_differential_order" 120000 "$seed"
