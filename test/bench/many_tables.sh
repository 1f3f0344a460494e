#!/usr/bin/env bash
# 1,000 labelled tables with 3,000 foreign keys, against a schema of 20 tables: the
# first erasure of a session and warm ones, of subjects with rows in 20 tables. The
# 1,000 tables are those of one kind of subject ("one_kind"), or 20 each of 50 kinds
# ("fifty_kinds"). Every table has rows of somebody. By hand are functions written for
# one kind, one that runs a static statement for each step, and one that asks first,
# by one query, which tables have rows.
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

		CREATE TABLE hand_audit (user_id bigint, occurred_at timestamptz DEFAULT clock_timestamp(), actor text DEFAULT SESSION_USER, target text, strategy text, rows bigint);
		CREATE INDEX ON hand_audit (user_id);

		CREATE PROCEDURE make_hand(p_name text, p_tables int, p_asking bool) LANGUAGE plpgsql AS $$
		DECLARE
		    body text := '';
		    -- one statement, for rows of table i of the user, and a row of the trail if it found some
		    step text := '    IF has[%s] THEN %s; GET DIAGNOSTICS n = ROW_COUNT;'
		        || ' IF n > 0 THEN target := target || %L::text; strategy := strategy || %L::text; rows := rows || n; END IF; END IF;' || E'\n';
		BEGIN
		    IF NOT p_asking THEN
		        step := replace(replace(step, 'IF has[%s] THEN ', '/* %s */ '), 'END IF; END IF;', 'END IF;');
		    END IF;
		    FOR i IN 3 .. p_tables - 1 LOOP
		        CONTINUE WHEN i / 2 % 2 = 0;
		        body := body || format(step, i / 2, format('UPDATE s1_t%s SET b_id = NULL WHERE b_id IN (SELECT id FROM s1_t%s WHERE user_id = p_id)%s',
		                                                  i, i / 2, CASE WHEN i % 2 = 1 THEN ' AND user_id <> p_id' END), 's1_t' || i, 'detach');
		    END LOOP;
		    FOR i IN REVERSE p_tables - 1 .. 1 LOOP
		        body := body || CASE WHEN i % 2 = 1 THEN format(step, i, format('DELETE FROM s1_t%s WHERE user_id = p_id', i), 's1_t' || i, 'delete')
		            ELSE format(step, i, format('UPDATE s1_t%s SET note = ''deleted-'' || id, mood = ''deleted'' WHERE user_id = p_id', i), 's1_t' || i, 'anonymize') END;
		    END LOOP;
		    EXECUTE format($f$
		        CREATE FUNCTION %I(p_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $b$
		        DECLARE
		            n bigint; has bool[]; target text[] := '{}'; strategy text[] := '{}'; rows bigint[] := '{}';
		        BEGIN
		            PERFORM FROM s1 WHERE id = p_id FOR UPDATE;
		            %s
		            %s
		            UPDATE s1 SET name = 'deleted-' || id WHERE id = p_id;
		            INSERT INTO hand_audit (user_id, target, strategy, rows) SELECT p_id, * FROM unnest(target || 's1'::text, strategy || 'anonymize'::text, rows || 1::bigint);
		            RETURN jsonb_build_object('subject_id', p_id, 'rows', jsonb_object(target, rows::text[]));
		        END $b$
		    $f$, p_name, CASE WHEN p_asking THEN
		            (SELECT 'SELECT ARRAY[' || string_agg(format('EXISTS (SELECT FROM s1_t%s WHERE user_id = p_id)', i), ', ' ORDER BY i) || '] INTO has;'
		               FROM generate_series(1, p_tables - 1) i) END, body);
		END
		$$;
		CALL make_hand('hand_erase', :tables, false);
		CALL make_hand('hand_erase_asking', :tables, true);
		VACUUM ANALYZE;

		CREATE FUNCTION erase(p_who text, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
		    CASE p_who
		        WHEN 'effaced' THEN PERFORM effaced_erase(p_id, subject => 's1');
		        WHEN 'statements' THEN PERFORM hand_erase(p_id);
		        WHEN 'asking' THEN PERFORM hand_erase_asking(p_id);
		    END CASE;
		END
		$$;

		CREATE PROCEDURE measure_warm(p_who text, p_round int, p_from bigint) LANGUAGE plpgsql AS $$
		DECLARE
		    started timestamptz;
		BEGIN
		    FOR i IN 0..19 LOOP
		        started := clock_timestamp();
		        PERFORM erase(p_who, p_from + i);
		        COMMIT;
		        IF i >= 10 THEN
		            INSERT INTO timing VALUES ('warm', p_round, p_who, 1000 * extract(epoch FROM clock_timestamp() - started));
		            COMMIT;
		        END IF;
		    END LOOP;
		END
		$$;

		-- All sides find and change as much.
		DO $$
		DECLARE
		    e jsonb := effaced_erase(2990, subject => 's1');
		    h jsonb := hand_erase(2991) -> 'rows';
		    a jsonb := hand_erase_asking(2992) -> 'rows';
		    n int := (SELECT count(*) FROM jsonb_each((e -> 'deleted') || (e -> 'anonymized')) v(t, n) WHERE n::int > 0 AND t <> 's1');
		    tables int := (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^s1_t');
		BEGIN
		    IF n <> least(tables, 19) OR (SELECT count(*) FROM jsonb_object_keys(h)) <> n OR (SELECT count(*) FROM jsonb_object_keys(a)) <> n THEN
		        RAISE EXCEPTION 'the sides differ: % % %', e, h, a;
		    END IF;
		END
		$$;
	SQL
done

for ((round = 0; round < 16; round++)); do
	for db in "${databases[@]}"; do
		for who in effaced statements asking; do
			case $who in
			effaced) first=$((round * 30 + 1)) ;;
			statements) first=$((round * 30 + 1001)) ;;
			asking) first=$((round * 30 + 2001)) ;;
			esac
			psql -X -q -At -v ON_ERROR_STOP=1 -d "${PGDATABASE}_$db" <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' |
				\\timing on
				SELECT erase('$who', $first);
				\\timing off
				CALL measure_warm('$who', $round, $first + 1);
			SQL
				while read -r ms; do
					psql -X -q -d "${PGDATABASE}_$db" -c "INSERT INTO timing VALUES ('first', $round, '$who', $ms)"
				done
		done
	done
done

for db in "${databases[@]}"; do
	psql -X -q -At -F '|' -d "${PGDATABASE}_$db" <<-'SQL'
		SELECT who, (SELECT count(*) FROM effaced_plan(1, subject => 's1')),
		       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE work = 'first')::numeric, 2),
		       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE work = 'warm')::numeric, 3)
		  FROM timing WHERE round > 0 GROUP BY who ORDER BY who = 'effaced' DESC, who DESC;
	SQL
	dropdb "${PGDATABASE}_$db"
done | awk -F '|' '
	BEGIN { split("20 tables|1000 tables of one kind|1000 tables of 50 kinds", what, "|")
		who["effaced"] = "effaced"; who["statements"] = "by hand, all statements"; who["asking"] = "by hand, asking first"
		printf "%-24s %-24s %6s %10s %10s %12s\n", "schema", "", "steps", "first ms", "warm ms", "warm ratio" }
	$1 == "effaced" { schema++ }
	schema == 1 { small[$1] = $4 }
	{ printf "%-24s %-24s %6d %10.2f %10.3f %12.2f%s\n", $1 == "effaced" ? what[schema] : "", who[$1], $2, $3, $4, $4 / small[$1],
		($1 == "effaced" && schema > 1 ? "   (targets: first 200, warm <= 1.3)" : "") }'
