-- The end of a retention never cuts the way to values that have not expired: the row
-- keeps the column, and is counted as kept, until they have.
CREATE EXTENSION effaced;

--
-- The column by which a row is found expires before what else is in the row.
--
CREATE TABLE account (id int PRIMARY KEY, username text UNIQUE);
CREATE TABLE audit (id int PRIMARY KEY, username text, note text, at date);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE audit IS '{"hops": [{"source_columns": ["username"], "target_table": "account", "target_columns": ["username"]}]}';
SECURITY LABEL FOR effaced ON COLUMN audit.note IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON COLUMN audit.username IS '{"category": "identity", "erasure": "anonymize", "retention": {"reason": "abuse", "duration": "1 year", "anchor": "at", "on_expiry": "anonymize"}}';
INSERT INTO account VALUES (1, 'nora'), (2, 'ben');
INSERT INTO audit VALUES (1, 'nora', 'called from home', '2020-01-01'), (2, 'nora', NULL, '2020-01-01'), (3, 'ben', NULL, '2020-01-01');
CALL effaced_enforce_retention();
SELECT id, username ~ '^anon-' AS anonymized, note FROM audit ORDER BY id;
SELECT anonymized, kept FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1;
SELECT event_type, payload ->> 'target' AS target, payload ->> 'strategy' AS strategy, payload ->> 'rows' AS rows FROM effaced_audit_events WHERE event_type LIKE 'retention%' ORDER BY seq;
-- The note was not lost.
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
SELECT effaced_verify(1) -> 'verified' AS verified;
SELECT id, note ~ '^anon-' AS anonymized FROM audit WHERE id = 1;
DROP TABLE account, audit;

--
-- Two terms: each column waits for the other, and both are written once both are over.
--
CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE, since date);
CREATE TABLE visit (id int PRIMARY KEY, email text, k text GENERATED ALWAYS AS (lower(email)) STORED, page text, at date);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.since IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"hops": [{"source_columns": ["k"], "target_table": "person", "target_columns": ["email"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.email IS '{"category": "contact", "erasure": "anonymize", "retention": {"reason": "abuse", "duration": "1 year", "anchor": "at", "on_expiry": "anonymize"}}';
SECURITY LABEL FOR effaced ON COLUMN visit.page IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "statistics", "duration": "3 years", "anchor": "at", "on_expiry": "anonymize"}}';
INSERT INTO person VALUES (1, 'ada@x');
INSERT INTO visit (id, email, page, at) VALUES (1, 'Ada@x', '/a', '2020-01-01'), (2, 'Ada@x', '/b', '2022-01-01');
CALL effaced_enforce_retention(as_of => '2023-06-01');
SELECT id, email ~ '^anon-' AS email_gone, page ~ '^anon-' AS page_gone FROM visit ORDER BY id;
SELECT anonymized, kept FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1;
CALL effaced_enforce_retention(as_of => '2025-06-01');
SELECT id, email ~ '^anon-' AS email_gone, page ~ '^anon-' AS page_gone FROM visit ORDER BY id;
SELECT anonymized, kept FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1;
DROP TABLE person, visit;

--
-- The target of a hop expires while rows that are joined to it hold something.
--
CREATE TABLE member (id int PRIMARY KEY, handle text UNIQUE, left_on date);
CREATE TABLE letter (id int PRIMARY KEY, handle text, body text);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.handle IS '{"category": "identity", "erasure": "anonymize", "retention": {"reason": "membership", "duration": "1 year", "anchor": "left_on", "on_expiry": "anonymize"}}';
SECURITY LABEL FOR effaced ON TABLE letter IS '{"owned": true, "hops": [{"source_columns": ["handle"], "target_table": "member", "target_columns": ["handle"]}]}';
SECURITY LABEL FOR effaced ON COLUMN letter.body IS '{"category": "communication", "erasure": "anonymize"}';
INSERT INTO member VALUES (1, 'ada', '2020-01-01'), (2, 'ben', '2020-01-01'), (3, 'cy', '2020-01-01');
INSERT INTO letter VALUES (1, 'ada', 'hello'), (2, 'ben', NULL);
CALL effaced_enforce_retention();
SELECT id, handle ~ '^anon-' AS anonymized FROM member ORDER BY id;
SELECT anonymized, kept FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
SELECT body ~ '^anon-' AS anonymized FROM letter WHERE id = 1;
DROP TABLE member, letter;
