#!/bin/bash
# Recognised against always-right ORDER BY, at length: tests/unit/test_sql.c with 20,000 statements.
exec "$1/tests/test_sql" 20000
