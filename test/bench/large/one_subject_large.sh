#!/usr/bin/env bash
# One subject with 5 million rows: its erasure and its export, against the plain
# statements. Targets: memory below 100 MB, no worse than these. Each in a session
# of its own, rolled back.
set -euo pipefail
. test/bench/lib/measured.sh

psql -X -q -v ON_ERROR_STOP=1 -v users=2000 -f test/bench/shop/shop.sql
psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SET client_min_messages = warning;
INSERT INTO users VALUES (0, 'machine@example.com', 'The machine', NULL, 'scrypt$', NULL, 'en', now());
INSERT INTO orders SELECT -i, 0, now(), 'shipped', 10, 'Street', NULL FROM generate_series(1, 200000) i;
INSERT INTO order_items SELECT -i, -1 - i % 200000, 'pen-1', 1, 3.5, NULL FROM generate_series(1, 800000) i;
INSERT INTO login_events SELECT -i, 0, timestamptz '2024-04-01' + i * interval '1 second', '10.0.0.1', 'robot' FROM generate_series(1, 3000000) i;
INSERT INTO reviews SELECT -i, 0, i % 100, 5, 'The machine', 'Good number ' || i, now() FROM generate_series(1, 1000000) i;
VACUUM (FREEZE, ANALYZE);
SQL

for _ in 1 2 3; do
	for side in effaced_erase hand_erase; do
		measured "$side" <<-SQL
			BEGIN;
			\\timing on
			DO \$\$ BEGIN PERFORM $side(0); END \$\$;
			\\timing off
			ROLLBACK;
		SQL
	done
	for side in effaced_export_records hand_export_records; do
		measured "$side" <<-SQL
			\\timing on
			COPY (SELECT * FROM $side(0)) TO '/dev/null';
		SQL
	done
done | sort -s -k1,1 | table 'one subject, 5,000,000 rows'

# Too much for one jsonb: how soon, and with how much memory, that is said.
{
	measured effaced_export <<-'SQL'
		\timing on
		DO $$ BEGIN PERFORM effaced_export(0); EXCEPTION WHEN OTHERS THEN RAISE INFO '%: %', SQLSTATE, SQLERRM; END $$;
	SQL
} | table 'as one document'
