-- The outbox: claims, reports, and what the trail says of them.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = notice;
SET TimeZone = 'UTC';
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

CREATE TABLE person (id int PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "subject": "human"}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
INSERT INTO person SELECT i, 'person ' || i FROM generate_series(1, 20) i;
SELECT effaced_register_resolver(r) FROM unnest('{stripe,crm,archive}'::text[]) r;

-- erase() erases with references to these systems
CREATE FUNCTION erase(id int, VARIADIC systems text[]) RETURNS int LANGUAGE sql AS $$
    SELECT jsonb_array_length(effaced_erase(id, (SELECT jsonb_agg(jsonb_build_object('kind', s, 'value', 'SECRET ' || id)) FROM unnest(systems) s)) -> 'enqueued');
$$;
CREATE FUNCTION entry(id int, system text) RETURNS uuid LANGUAGE sql AS $$
    SELECT entry_id FROM effaced_outbox WHERE subject_id = id::text AND resolver = system ORDER BY seq DESC LIMIT 1;
$$;
-- entries, with the time until they are due to the nearest 10 s
CREATE VIEW entries AS SELECT subject_id AS id, resolver, operation, status, attempts, last_error,
	CASE WHEN next_attempt_at <= clock_timestamp() THEN 'due' ELSE round(extract(epoch FROM next_attempt_at - clock_timestamp()) / 10) * 10 || ' s' END AS due
	FROM effaced_outbox ORDER BY seq;
-- the trail since the last look
CREATE TABLE seen (seq bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION news() RETURNS TABLE (event text, id text, payload jsonb) LANGUAGE sql AS $$
    WITH new AS (SELECT * FROM effaced_audit_events WHERE seq > (SELECT seq FROM seen) ORDER BY seq),
    mark AS (UPDATE seen SET seq = (SELECT max(n.seq) FROM new n) WHERE EXISTS (SELECT FROM new))
    SELECT event_type, subject_ref, payload - 'entry_id' FROM new
     WHERE event_type !~ 'requested' AND NOT payload ? 'strategy' ORDER BY seq;
$$;

-- 1. From the erasure to its completion
SELECT erase(1, 'stripe', 'crm');
SELECT * FROM news();
SELECT erase(2, 'stripe');
TABLE entries;
-- oldest first, not more than asked for, of one system, and not twice
SELECT subject_id, resolver, status, attempts, claim_id IS NOT NULL, cardinality(claimed_by) FROM effaced_outbox_claim(max_entries => 1);
SELECT subject_id, resolver FROM effaced_outbox_claim('stripe');
SELECT subject_id, resolver FROM effaced_outbox_claim('stripe');
SELECT subject_id, resolver, ref FROM effaced_outbox_claim();
TABLE entries;
SELECT * FROM effaced_outbox_status_counts();
SELECT effaced_outbox_succeed(entry(1, 'stripe'), already_absent => true, detail => 'gone since May');
SELECT * FROM news();
-- the subject's last one completes the erasure
SELECT effaced_outbox_succeed(entry(1, 'crm'));
SELECT * FROM news();
SELECT effaced_outbox_succeed(entry(2, 'stripe'));
SELECT * FROM news();
-- who the person was in the other system is forgotten
SELECT subject_id, resolver, ref, detail, last_error, payload, status FROM effaced_outbox ORDER BY seq;

-- 2. Reports that come twice or without a claim are told, and change nothing.
\set VERBOSITY default
SELECT effaced_outbox_succeed(entry(2, 'stripe'));
\set VERBOSITY terse
SELECT try($$SELECT effaced_outbox_succeed('00000000-0000-0000-0000-000000000000')$$);
SELECT try($$SELECT effaced_outbox_succeed(NULL)$$);
SET client_min_messages = warning;
CREATE FUNCTION told(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE 'SELECT (' || statement || ')::text' INTO result;
    RETURN result;
END $$;
SELECT erase(3, 'stripe');
SELECT told($$effaced_outbox_succeed(entry(2, 'stripe'))$$), told($$effaced_outbox_fail(entry(2, 'stripe'), 'timeout')$$),
	told($$effaced_outbox_schedule(entry(2, 'stripe'), now() + '1 day')$$), told($$effaced_outbox_succeed(entry(3, 'stripe'))$$), told($$effaced_outbox_fail(entry(3, 'stripe'), 'timeout')$$);
SELECT status, attempts FROM effaced_outbox WHERE subject_id IN ('2', '3') ORDER BY seq;
SELECT * FROM news();
-- a session that never made the claim does not report on it without its claim_id
SELECT erase(33, 'archive');
SELECT claim_id AS theirs FROM effaced_outbox_claim('archive') \gset
\c -
SET client_min_messages = notice;
SET TimeZone = 'UTC';
SELECT told($$effaced_outbox_succeed(entry(33, 'archive'))$$), told($$effaced_outbox_fail(entry(33, 'archive'), 'timeout')$$);
SELECT effaced_outbox_fail(entry(33, 'archive'), 'timeout', false, claim_id => :'theirs');
-- a class that the table would refuse is no error that quotes the reference
SELECT try($$SELECT effaced.effaced_outbox_abandon(ARRAY[entry(33, 'archive')], 'not a class')$$);
SELECT status, last_error FROM effaced_outbox WHERE subject_id = '33';
SELECT count(*) FROM news();
-- a claim that is over, in the same session: told by the claim
SELECT claim_id AS first FROM effaced_outbox_claim(lease => '0') \gset
SELECT claim_id AS second, attempts FROM effaced_outbox_claim() \gset
\echo :attempts
SELECT effaced_outbox_succeed(entry(3, 'stripe'), claim_id => :'first'), effaced_outbox_fail(entry(3, 'stripe'), 'timeout', claim_id => :'first'),
	effaced_outbox_schedule(entry(3, 'stripe'), now() + '1 day', :'first');
SELECT status FROM effaced_outbox WHERE subject_id = '3';
SELECT effaced_outbox_succeed(entry(3, 'stripe'), claim_id => :'second');
SELECT * FROM news();
-- a lease that is over and that nobody else has taken over does no harm
SELECT erase(4, 'stripe');
SELECT attempts FROM effaced_outbox_claim(lease => '0');
SELECT effaced_outbox_succeed(entry(4, 'stripe'));

-- 3. Failures: twice the time for each, and an end
TRUNCATE effaced.effaced_outbox;
SELECT erase(5, 'stripe');
SELECT * FROM news();
SELECT attempts FROM effaced_outbox_claim();
SELECT effaced_outbox_fail(entry(5, 'stripe'), 'ECONNREFUSED');
TABLE entries;
SELECT * FROM effaced_outbox_claim();
CREATE PROCEDURE fail_again(times int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. times LOOP
		UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE status = 'failed';
		PERFORM effaced_outbox_fail(entry_id, 'HTTP/503') FROM effaced_outbox_claim();
		RAISE INFO '%', (SELECT e FROM entries e);
	END LOOP;
END $$;
CALL fail_again(7);
SELECT status, resolver, ref ->> 'value' FROM effaced_outbox_abandoned();
SELECT * FROM news();
-- no retry
SELECT erase(6, 'stripe', 'crm');
SELECT resolver FROM effaced_outbox_claim();
SELECT effaced_outbox_fail(entry(6, 'stripe'), '42501', retryable => false), effaced_outbox_fail(entry(6, 'crm'), '42501', NULL);
SELECT * FROM entries WHERE id = '6';
-- a class, not a message
SELECT erase(7, 'stripe');
SELECT resolver FROM effaced_outbox_claim();
SET client_min_messages = notice;
SELECT effaced_outbox_fail(entry(7, 'stripe'), 'no such customer: SECRET');
SET client_min_messages = warning;
SELECT last_error FROM effaced_outbox WHERE subject_id = '7';
UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE subject_id = '7';
SELECT attempts FROM effaced_outbox_claim();
SELECT effaced_outbox_fail(entry(7, 'stripe'), NULL);
SELECT last_error FROM effaced_outbox WHERE subject_id = '7';
-- whoever never comes back has an end too
TRUNCATE effaced.effaced_outbox;
SET effaced.outbox_max_attempts = 3;
SELECT erase(8, 'stripe');
SELECT attempts FROM effaced_outbox_claim(lease => '0');
SELECT attempts FROM effaced_outbox_claim(lease => '0');
SELECT attempts FROM effaced_outbox_claim(lease => '0');
SELECT count(*) FROM news();
SELECT attempts FROM effaced_outbox_claim(lease => '0');
TABLE entries;
SELECT * FROM news();
-- settings
SET effaced.outbox_max_attempts = 1000;
SET effaced.outbox_backoff = '1 min';
SET effaced.outbox_max_backoff = '3 min';
SELECT a, round(extract(epoch FROM effaced.effaced_outbox_retry_at(a) - clock_timestamp())) FROM unnest('{1,2,3,4,999,1000}'::int[]) a;
SELECT left(try('SET effaced.outbox_max_attempts = 0'), 5), left(try($$SET effaced.outbox_backoff = '-1 s'$$), 5);
RESET effaced.outbox_max_attempts;
RESET effaced.outbox_backoff;
RESET effaced.outbox_max_backoff;

-- 4. Requeue: abandoned erasures begin anew, others are passed over.
SELECT erase(9, 'stripe');
SELECT status, attempts, last_error, next_attempt_at <= clock_timestamp() FROM effaced_outbox_requeue(ARRAY[entry(8, 'stripe'), entry(9, 'stripe'), '00000000-0000-0000-0000-000000000000', NULL]);
SELECT * FROM news();
SELECT * FROM effaced_outbox_requeue(ARRAY[entry(8, 'stripe')]);
SELECT * FROM effaced_outbox_requeue('{}');
SELECT * FROM effaced_outbox_requeue(NULL);
SELECT * FROM news();
SELECT subject_id, effaced_outbox_succeed(entry_id) FROM effaced_outbox_claim();
SELECT * FROM news();

-- 5. Systems that only let data expire
SELECT erase(10, 'archive');
SELECT count(*) FROM news();
SELECT resolver FROM effaced_outbox_claim();
SELECT try($$SELECT effaced_outbox_schedule(entry(10, 'archive'), NULL)$$);
SELECT try($$SELECT effaced_outbox_schedule(entry(10, 'archive'), 'infinity')$$);
SELECT effaced_outbox_schedule(entry(10, 'archive'), '2999-01-01');
SELECT status, attempts, next_attempt_at = expires_at, expires_at = '2999-01-01' FROM effaced_outbox WHERE subject_id = '10';
SELECT resolver FROM effaced_outbox_claim();
SELECT effaced_outbox_schedule(entry(10, 'archive'), '2999-01-02');
-- then it is looked at again, parked again, and verified
UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE subject_id = '10';
SELECT attempts FROM effaced_outbox_claim();
SELECT effaced_outbox_schedule(entry(10, 'archive'), '2999-06-01');
UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE subject_id = '10';
SELECT attempts FROM effaced_outbox_claim();
SELECT effaced_outbox_succeed(entry(10, 'archive'), already_absent => true);
SELECT * FROM news();
-- a moment that has passed is no way to go on for ever
SELECT erase(11, 'archive');
DO $$
BEGIN
	FOR i IN 1 .. 20 LOOP
		PERFORM effaced_outbox_schedule(entry_id, '2001-01-01') FROM effaced_outbox_claim();
	END LOOP;
END $$;
SELECT status, attempts, last_error FROM effaced_outbox WHERE subject_id = '11';
SELECT event, count(*) FROM news() GROUP BY event ORDER BY event;

-- 6. Erased again while something is left: completed when that is done, once.
TRUNCATE effaced.effaced_outbox;
SELECT erase(12, 'stripe');
SELECT effaced_erase(12) -> 'enqueued';
SELECT effaced_erase_many('{12,13}') -> 'enqueued';
SELECT event, id FROM news();
SELECT effaced_outbox_succeed(entry_id) FROM effaced_outbox_claim();
SELECT event, id FROM news();
SELECT effaced_erase(12) -> 'enqueued';
SELECT event, id FROM news();
-- what was restricted to some tables does not complete an erasure, but holds it up
SELECT jsonb_array_length(effaced_erase(14, '[{"kind": "stripe", "value": "14"}]', tables => '{person}') -> 'enqueued');
SELECT effaced_outbox_succeed(entry_id) FROM effaced_outbox_claim();
SELECT event, id FROM news();
SELECT jsonb_array_length(effaced_erase(14, '[{"kind": "stripe", "value": "14"}]', tables => '{person}') -> 'enqueued');
SELECT effaced_erase(14) -> 'enqueued';
SELECT event, id FROM news();
SELECT effaced_outbox_succeed(entry_id) FROM effaced_outbox_claim();
SELECT event, id FROM news();
-- one that is abandoned holds it up until it is done after all
SELECT erase(15, 'stripe', 'crm');
SELECT resolver, CASE resolver WHEN 'crm' THEN effaced_outbox_succeed(entry_id) ELSE effaced_outbox_fail(entry_id, 'E1', false) END FROM effaced_outbox_claim();
SELECT event, id FROM news();
SELECT count(*) FROM effaced_outbox_requeue(ARRAY(SELECT entry_id FROM effaced_outbox_abandoned()));
SELECT effaced_outbox_succeed(entry_id) FROM effaced_outbox_claim();
SELECT event, id FROM news();

-- 7. No outcome without its record
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
SELECT erase(16, 'stripe');
SELECT attempts FROM effaced_outbox_claim();
SELECT count(*) FROM news();
CREATE TRIGGER refuse BEFORE INSERT ON effaced.effaced_audit_events EXECUTE FUNCTION refuse();
SELECT try($$SELECT effaced_outbox_succeed(entry(16, 'stripe'))$$);
SELECT try($$SELECT effaced_outbox_fail(entry(16, 'stripe'), 'E')$$);
SELECT try($$SELECT effaced_outbox_fail(entry(16, 'stripe'), 'E', false)$$);
SELECT try($$SELECT effaced_outbox_schedule(entry(16, 'stripe'), now() + '1 day')$$);
SELECT status, attempts, last_error, ref ->> 'value' FROM effaced_outbox WHERE subject_id = '16';
SELECT try($$SELECT erase(17, 'stripe')$$);
SELECT count(*) FROM effaced_outbox WHERE subject_id = '17';
DROP TRIGGER refuse ON effaced_audit_events;
-- nor without its entries
CREATE TRIGGER refuse BEFORE INSERT ON effaced.effaced_outbox EXECUTE FUNCTION refuse();
SELECT try($$SELECT erase(17, 'stripe')$$);
DROP TRIGGER refuse ON effaced_outbox;
SELECT name FROM person WHERE id = 17;
SELECT * FROM news();

-- 8. Arguments
SELECT try('SELECT effaced_outbox_claim(max_entries => 0)');
SELECT try('SELECT effaced_outbox_claim(max_entries => NULL)');
SELECT try($$SELECT effaced_outbox_claim(lease => '-1 s')$$);
SELECT try('SELECT effaced_outbox_claim(lease => NULL)');
SELECT try($$SELECT effaced_outbox_claim('paypal')$$);

-- 9. The table keeps to its rules, whoever writes to it.
SELECT try($$UPDATE effaced.effaced_outbox SET status = 'done'$$) ~ 'check constraint';
SELECT try($$UPDATE effaced.effaced_outbox SET ref = '{"kind": "stripe", "value": "SECRET"}' WHERE status = 'succeeded'$$) ~ 'check constraint';
SELECT try($$UPDATE effaced.effaced_outbox SET payload = '[]'$$) ~ 'check constraint';
SELECT try($$UPDATE effaced.effaced_outbox SET last_error = 'no such customer'$$) ~ 'check constraint';
SELECT try($$UPDATE effaced.effaced_outbox SET attempts = -1$$) ~ 'check constraint';

-- 10. Whoever may call a function needs no privilege on the tables.
CREATE ROLE regress_worker;
SET ROLE regress_worker;
SELECT try('SELECT effaced_outbox_claim()');
SELECT try('CALL effaced_run_outbox()');
SELECT try('TABLE effaced_outbox');
SELECT try('TABLE effaced.effaced_outbox_home');
SELECT try('TABLE effaced_resolvers');
RESET ROLE;
SELECT count(*) FROM pg_proc WHERE proname ~ '^effaced_(outbox|run_outbox|register)' AND has_function_privilege('regress_worker', oid, 'EXECUTE');
GRANT EXECUTE ON FUNCTION effaced_outbox_claim, effaced_outbox_succeed, effaced_outbox_fail, effaced_outbox_schedule,
	effaced_outbox_requeue, effaced_outbox_abandoned, effaced_outbox_status_counts, effaced_erase(anynonarray, jsonb, regclass, regclass[], text) TO regress_worker;
GRANT SELECT, UPDATE, DELETE ON person TO regress_worker;
UPDATE effaced.effaced_outbox SET status = 'failed', next_attempt_at = now() WHERE subject_id = '16';
SET ROLE regress_worker;
SELECT erase(18, 'stripe');
SELECT subject_id, CASE subject_id WHEN '16' THEN effaced_outbox_succeed(entry_id) ELSE effaced_outbox_fail(entry_id, 'E', false) END FROM effaced_outbox_claim();
SELECT status, entries FROM effaced_outbox_status_counts();
SELECT count(*) FROM effaced_outbox_abandoned();
RESET ROLE;
SELECT event, id FROM news();
DROP OWNED BY regress_worker;
DROP ROLE regress_worker;
