#!/usr/bin/env bash
# effaced_erase_many() of 10 to 100,000 subjects of a shop of 7.8 million rows, 70
# rows each: time per subject, and memory of the backend. Targets: linear, below
# 200 MB. Each in a session of its own, rolled back.
set -euo pipefail
. test/bench/lib/measured.sh

psql -X -q -v ON_ERROR_STOP=1 -v users=112000 -f test/bench/shop/shop.sql

from=1
for n in 10 100 1000 10000 100000; do
	for side in effaced_erase_many/text hand_erase_many/bigint; do
		measured "${side%/*}/$n" <<-SQL
			BEGIN;
			\\timing on
			DO \$\$ BEGIN PERFORM ${side%/*}((SELECT array_agg(i::${side#*/}) FROM generate_series($from, $from + $n - 1) i)); END \$\$;
			\\timing off
			ROLLBACK;
		SQL
	done
	from=$((from + n))
done | awk '
	BEGIN { printf "%-28s %12s %15s %12s %10s %8s\n", "call/subjects", "ms", "ms per subject", "private MB", "VmHWM MB", "temp MB" }
	{ split($1, call, "/"); printf "%-28s %12.1f %15.3f %12d %10d %8d\n", $1, $2, $2 / call[2], $3, $4, $5 }'
