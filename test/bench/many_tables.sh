#!/usr/bin/env bash
# 1,000 labelled tables with 3,000 foreign keys, against a schema of 20 tables: the
# first erasure of a session and warm ones, of subjects with rows in 20 tables. The
# 1,000 tables are those of one kind of subject ("one_kind"), or 20 each of 50 kinds
# ("fifty_kinds"). Every table has rows of somebody.
set -euo pipefail

databases=(small one_kind fifty_kinds)

for db in "${databases[@]}"; do
	case $db in
	small) kinds=1 tables=20 ;;
	one_kind) kinds=1 tables=1000 ;;
	fifty_kinds) kinds=50 tables=20 ;;
	esac
	createdb "${PGDATABASE}_$db"
	psql -X -q -v ON_ERROR_STOP=1 -d "${PGDATABASE}_$db" -v kinds="$kinds" -v tables="$tables" <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION effaced;
		\i test/bench/lib/timing.sql

		-- A table references its subject and two tables before it. Every second one is
		-- deleted from, the others keep a column without label.
		CREATE PROCEDURE make_kind(p_kind int, p_tables int) LANGUAGE plpgsql AS $$
		DECLARE
		    subject text := 's' || p_kind;
		BEGIN
		    EXECUTE format('CREATE TABLE %I (id bigint PRIMARY KEY, name text, created date)', subject);
		    EXECUTE format('INSERT INTO %I SELECT u, ''Name '' || u, current_date FROM generate_series(1, 3000) u', subject);
		    EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %I IS ''{"path": ""}''', subject);
		    EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %I.name IS ''{"category": "identity"}''', subject);
		    FOR i IN 1 .. p_tables - 1 LOOP
		        EXECUTE format('CREATE TABLE %1$I (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES %2$I, a_id bigint REFERENCES %3$I, b_id bigint REFERENCES %4$I, note text, mood text %5$s)',
		                       subject || '_t' || i, subject, CASE WHEN i < 3 THEN subject ELSE subject || '_t' || (i - 1) / 2 * 2 END,
		                       CASE WHEN i < 3 THEN subject ELSE subject || '_t' || i / 2 END, CASE WHEN i % 2 = 0 THEN ', extra int' END);
		        EXECUTE format('CREATE INDEX ON %1$I (user_id); CREATE INDEX ON %1$I (a_id); CREATE INDEX ON %1$I (b_id)', subject || '_t' || i);
		        -- 19 of the tables, another 19 for the next user
		        EXECUTE format('INSERT INTO %I (id, user_id, note, mood) SELECT u, u, ''Note '' || u, ''good'' FROM generate_series(1, 3000) u WHERE (%s + u) %% %s < 19',
		                       subject || '_t' || i, i, p_tables - 1);
		        EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %I IS ''{"path": "user_id"}''', subject || '_t' || i);
		        EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %I.note IS ''{"category": "communication"}''', subject || '_t' || i);
		        EXECUTE format('SECURITY LABEL FOR effaced ON COLUMN %I.mood IS ''{"category": "special"}''', subject || '_t' || i);
		        COMMIT;
		    END LOOP;
		END
		$$;
		SELECT format('CALL make_kind(%s, %s)', i, :tables) FROM generate_series(1, :kinds) i \gexec
		VACUUM ANALYZE;

		CREATE PROCEDURE measure_warm(p_round int, p_from bigint) LANGUAGE plpgsql AS $$
		DECLARE
		    started timestamptz;
		BEGIN
		    FOR i IN 0..19 LOOP
		        started := clock_timestamp();
		        PERFORM effaced_erase(p_from + i, subject => 's1');
		        COMMIT;
		        IF i >= 10 THEN
		            INSERT INTO timing VALUES ('warm', p_round, 'effaced', 1000 * extract(epoch FROM clock_timestamp() - started));
		            COMMIT;
		        END IF;
		    END LOOP;
		END
		$$;
	SQL
done

for ((round = 0; round < 16; round++)); do
	for db in "${databases[@]}"; do
		first=$((round * 30 + 1))
		psql -X -q -At -v ON_ERROR_STOP=1 -d "${PGDATABASE}_$db" <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' |
			\\timing on
			SELECT effaced_erase($first, subject => 's1');
			\\timing off
			CALL measure_warm($round, $first + 1);
		SQL
			while read -r ms; do
				psql -X -q -d "${PGDATABASE}_$db" -c "INSERT INTO timing VALUES ('first', $round, 'effaced', $ms)"
			done
	done
done

for db in "${databases[@]}"; do
	psql -X -q -At -F ' ' -d "${PGDATABASE}_$db" <<-'SQL'
		SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE work = 'first')::numeric, 2),
		       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE work = 'warm')::numeric, 3),
		       (SELECT count(*) FROM effaced_plan(1, subject => 's1')) FROM timing WHERE round > 0;
	SQL
	dropdb "${PGDATABASE}_$db"
done | awk '
	BEGIN { split("20 tables|1000 tables of one kind|1000 tables of 50 kinds", what, "|")
		printf "%-24s %6s %10s %10s %12s\n", "schema", "steps", "first ms", "warm ms", "warm ratio" }
	NR == 1 { small = $2 }
	{ printf "%-24s %6d %10.2f %10.3f %12.2f%s\n", what[NR], $3, $1, $2, $2 / small,
		(NR > 1 ? "   (targets: first 200, warm <= 1.3)" : "") }'
