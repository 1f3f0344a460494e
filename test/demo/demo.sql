-- make demo: one customer of a small shop is erased.
SET TIME ZONE 'UTC';
\pset null '(null)'

CREATE EXTENSION effaced;
\ir shop.sql
\ir labels.sql

-- Somebody's log, which nobody thought of when the labels were written.
CREATE TABLE mail_log (id int PRIMARY KEY, users_id int REFERENCES users, line text);
INSERT INTO mail_log SELECT id, id, 'order confirmation sent to <' || upper(email) || '>' FROM users;

\echo
\echo '=== 1. Customer 2 before'
\echo
\ir customer.sql

\echo '=== 2. The plan: SELECT ... FROM effaced_plan(''2'')'
\echo
SELECT step, relation, strategy, columns, reason FROM effaced_plan('2');

\echo '=== 3. The erasure, and where copies stay: SELECT jsonb_pretty(effaced_erase(''2'', trace => ''report''))'
\echo
\pset tuples_only on
\pset format unaligned
SELECT jsonb_pretty(effaced_erase('2', trace => 'report'));
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
\echo '=== 7. The forgotten copy is labelled: the rows of mail_log go'
\echo
SECURITY LABEL FOR effaced ON TABLE mail_log IS '{"path": "users"}';
SECURITY LABEL FOR effaced ON COLUMN mail_log.line IS '{"category": "communication"}';
\pset tuples_only on
\pset format unaligned
SELECT effaced_erase('2') -> 'deleted' -> 'mail_log' AS deleted;
\pset tuples_only off
\pset format aligned
SELECT * FROM mail_log ORDER BY id;

\echo
\echo '=== 8. The trail: names and counts, never values'
\echo
SELECT seq, event_type, payload FROM effaced_audit_events ORDER BY seq;
