-- What a restriction of everything (Art. 18) stops: whatever deletes or anonymizes.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

-- try() runs a statement and shows what it raised: SQLSTATE, message, detail, hint.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', state || ': ' || message, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;

CREATE TABLE users (id int PRIMARY KEY, email text);
CREATE TABLE post (id int PRIMARY KEY, user_id int REFERENCES users, body text, written date NOT NULL);
CREATE INDEX ON post (user_id);
INSERT INTO users SELECT n, 'user' || n || '@example.com' FROM generate_series(1, 6) n;
INSERT INTO post SELECT n, n, 'a post of ' || n, '2020-01-01' FROM generate_series(1, 6) n;
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN users.email IS '{"category": "contact", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "user_id"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "communication", "erasure": "anonymize",
    "retention": {"reason": "moderation", "duration": "1 year", "anchor": "written", "on_expiry": "anonymize"}}';

-- 1. Nobody is restricted: an erasure looks once whether the ledger is empty, and makes no lock.
SELECT effaced_erase('6') -> 'anonymized';
SELECT count(*) FROM effaced.effaced_subject_locks;

-- 2. One subject, refused. How the identifier is spelled does not matter; a restriction for a purpose stops nothing.
SELECT effaced_restrict('1', reason => 'disputes the claim') IS NOT NULL, effaced_restrict('2', 'marketing') IS NOT NULL;
SELECT try($$SELECT effaced_erase('1')$$);
SELECT try($$SELECT effaced_erase('01')$$);
SELECT try($$SELECT effaced_erase(1, tables => '{post}')$$);
SELECT effaced_erase('2') -> 'anonymized';

-- 3. Many: all or none, or without the held.
SELECT effaced_restrict('3') IS NOT NULL;
SELECT try($$SELECT effaced_erase_many('{1,3,4}')$$);
SELECT array_agg(id ORDER BY id) AS kept FROM users WHERE email LIKE 'user%';
SELECT r -> 'subjects', r -> 'held', r -> 'not_found', r -> 'anonymized'
  FROM effaced_erase_many('{03,1,4,3}', skip_held => true) AS r;
SELECT effaced_erase_many('{1,3}', skip_held => true) -> 'subjects';
SELECT array_agg(id ORDER BY id) AS kept FROM users WHERE email LIKE 'user%';
SELECT event_type, subject, subject_ref, payload FROM effaced_audit_events WHERE event_type = 'erasure_refused' ORDER BY seq;

-- 4. A kind of subject is part of who somebody is: another table's 1 is somebody else.
CREATE TABLE partner (id int PRIMARY KEY, phone text);
INSERT INTO partner VALUES (1, '030 901820');
SECURITY LABEL FOR effaced ON TABLE partner IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN partner.phone IS '{"category": "contact"}';
SELECT effaced_erase('1', subject => 'partner') -> 'deleted';

-- 5. Replay: a subject that came back with a backup, and is restricted now, is passed by.
UPDATE users SET email = 'user' || id || '@example.com' WHERE id IN (2, 4);
SELECT effaced_restrict('4', subject => 'users') IS NOT NULL;
SELECT subject_id, verdict FROM effaced_replay('2020-01-01') WHERE subject = 'users' ORDER BY 1;
SELECT array_agg(id ORDER BY id) AS kept FROM users WHERE email LIKE 'user%';
SELECT event_type, subject_ref, payload FROM effaced_audit_events WHERE event_type = 'erasure_refused' AND subject_ref IS NOT NULL;
SELECT count(*) FROM effaced_audit_events WHERE event_type = 'erasure_replayed' AND subject_ref = '4';

-- 6. Retention: passed by and counted; a restriction for a purpose keeps nothing.
SELECT effaced_restrict('5', 'marketing', subject => 'users') IS NOT NULL;
CALL effaced_enforce_retention('2026-01-01');
SELECT id, body LIKE 'a post%' AS kept FROM post WHERE id IN (1, 3, 5) ORDER BY id;
SELECT anonymized, restricted FROM effaced_retention_runs;

-- 7. Lifted, the subject can be erased.
SELECT effaced_lift_restriction('1', subject => 'users') IS NOT NULL;
SELECT effaced_erase('1', subject => 'users') -> 'anonymized';

-- 8. A subject that is not there may be restricted as well.
SELECT effaced_restrict('99', subject => 'users') IS NOT NULL;
SELECT try($$SELECT effaced_erase('99', subject => 'users')$$);
