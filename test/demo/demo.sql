-- make demo: one customer of a small shop is erased.
SET TIME ZONE 'UTC';
\pset null '(null)'

CREATE EXTENSION effaced;
\ir shop.sql
\ir labels.sql

\echo
\echo '=== 1. Customer 2 before'
\echo
\ir customer.sql

\echo '=== 2. The plan: SELECT ... FROM effaced_plan(''2'')'
\echo
SELECT step, relation, strategy, columns, reason FROM effaced_plan('2');

\echo '=== 3. The erasure: SELECT jsonb_pretty(effaced_erase(''2''))'
\echo
\pset tuples_only on
\pset format unaligned
SELECT jsonb_pretty(effaced_erase('2'));
\pset tuples_only off
\pset format aligned

\echo
\echo '=== 4. Customer 2 after'
\echo
\ir customer.sql

\echo '=== 5. Nobody else changed'
\echo
SELECT id, email, full_name, (SELECT count(*) FROM addresses a WHERE a.users_id = u.id) AS addresses,
       (SELECT count(*) FROM login_events l WHERE l.users_id = u.id) AS login_events
  FROM users u WHERE id <> 2 ORDER BY id;

\echo '=== 6. Is anything left? SELECT jsonb_pretty(effaced_verify(''2''))'
\echo
\pset tuples_only on
\pset format unaligned
SELECT jsonb_pretty(effaced_verify('2'));
\pset tuples_only off
\pset format aligned

\echo
\echo '=== 7. The trail: names and counts, never values'
\echo
SELECT seq, event_type, payload FROM effaced_audit_events ORDER BY seq;
