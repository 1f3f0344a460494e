-- Rectification and export in external systems, and what an erasure does to
-- rectifications that are still open.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE EXTENSION effaced;
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

CREATE TABLE customer (id int PRIMARY KEY, mail text, stripe text, since date);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.mail IS '{"category": "contact", "legal_basis": "contract"}';
SECURITY LABEL FOR effaced ON COLUMN customer.stripe IS '{"category": "financial", "ref": "stripe"}';
INSERT INTO customer SELECT i, i || '@old', 'cus_' || i, '2020-01-01' FROM generate_series(1, 9) i;

-- Two systems in the server; both write down what they are told.
CREATE TABLE told (seq serial, what jsonb);
CREATE FUNCTION erase(ref jsonb) RETURNS jsonb LANGUAGE sql AS $$ INSERT INTO public.told (what) VALUES (ref); SELECT '{"already_absent": false}'::jsonb $$;
CREATE FUNCTION rectify(ref jsonb, corrections jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF ref ->> 'extra' = 'refuse' THEN RAISE 'never %', corrections USING ERRCODE = 'ZE006'; END IF;
	INSERT INTO public.told (what) VALUES (ref || jsonb_build_object('corrections', corrections));
	RETURN '{"already_consistent": true}';
END $$;
SELECT effaced_register_resolver('stripe', erase => 'erase(jsonb)', rectify => 'rectify(jsonb, jsonb)');
SELECT effaced_register_resolver('crm', erase => 'erase(jsonb)', rectify => 'rectify(jsonb, jsonb)');
CREATE FUNCTION correct(id int, mail text, extra text DEFAULT NULL) RETURNS int LANGUAGE sql AS $$
    SELECT jsonb_array_length(effaced_rectify(id, jsonb_build_array(jsonb_build_object('category', 'contact', 'value', mail)),
		CASE WHEN extra IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object('kind', 'crm', 'value', id::text, 'extra', extra)) END) -> 'enqueued');
$$;
CREATE VIEW entries AS SELECT subject_id AS id, resolver, operation, status, attempts, last_error, payload FROM effaced_outbox ORDER BY seq;
CREATE TABLE seen (seq bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION news() RETURNS TABLE (event text, id text, payload jsonb) LANGUAGE sql AS $$
    WITH new AS (SELECT * FROM effaced_audit_events WHERE seq > (SELECT seq FROM seen) ORDER BY seq),
    mark AS (UPDATE seen SET seq = (SELECT max(n.seq) FROM new n) WHERE EXISTS (SELECT FROM new))
    SELECT event_type, subject_ref, payload - 'entry_id' FROM new WHERE event_type !~ 'requested' AND NOT payload ? 'columns' ORDER BY seq;
$$;

-- 1. A correction goes where the subject is known; where nobody is told it is complete at once.
SELECT effaced_rectify(1, '[{"category": "contact", "value": "1@new"}]', '[{"kind": "crm", "value": "c1"}]') #- '{enqueued,0,entry_id}' #- '{enqueued,1,entry_id}';
SELECT effaced_rectify(1, '[]', '[{"kind": "crm", "value": "c1"}]');
SELECT effaced_rectify(77, '[{"category": "contact", "value": "x"}]') -> 'skipped_resolvers';
SELECT * FROM news();
TABLE entries;
CALL effaced_run_outbox();
SELECT what FROM told ORDER BY seq;
TABLE entries;
SELECT * FROM news();
-- refused references change nothing
SELECT try($$SELECT effaced_rectify(1, '[{"category": "contact", "value": "SECRET"}]', '[{"kind": "paypal", "value": "x"}]')$$);
SELECT mail FROM customer WHERE id = 1;

-- 2. One that cannot be done: the values are gone, and it is not complete, but the next one is.
TRUNCATE effaced.effaced_outbox, told;
SELECT correct(2, '2@new', 'refuse');
CALL effaced_run_outbox();
TABLE entries;
SELECT try('SELECT effaced_outbox_requeue(array_agg(entry_id)) FROM effaced_outbox');
SELECT event, id, payload FROM news();
SELECT correct(2, '2@newer', '');
CALL effaced_run_outbox();
SELECT event, id FROM news();
-- abandoned after the next one is done: then that is complete
SELECT correct(3, '3@new', 'a');
SELECT correct(3, '3@newer');
SELECT resolver, payload -> 0 -> 'value' FROM effaced_outbox_claim();
SELECT bool_and(effaced_outbox_succeed(entry_id)) FROM effaced_outbox WHERE status = 'in_flight' AND resolver = 'stripe';
SELECT payload -> 0 -> 'value' FROM effaced_outbox_claim('stripe');
SELECT bool_and(effaced_outbox_succeed(entry_id)) FROM effaced_outbox WHERE status = 'in_flight' AND resolver = 'stripe';
SELECT count(*) FROM news() WHERE event = 'rectification_completed';
SELECT bool_and(effaced_outbox_fail(entry_id, 'gone', false)) FROM effaced_outbox WHERE status = 'in_flight';
SELECT event, id FROM news();

-- 3. Corrections of one reference go in their order: an old value never comes last.
TRUNCATE effaced.effaced_outbox, told;
SELECT correct(4, '4@first'), correct(4, '4@second'), correct(5, '5@first');
SELECT subject_id, payload -> 0 -> 'value' FROM effaced_outbox_claim();
SELECT bool_and(effaced_outbox_fail(entry_id, 'timeout')) FROM effaced_outbox WHERE status = 'in_flight';
SELECT count(*) FROM effaced_outbox_claim();
UPDATE effaced.effaced_outbox SET next_attempt_at = now();
CALL effaced_run_outbox();
SELECT what -> 'value', what #> '{corrections,0,value}' FROM told ORDER BY seq;

-- 4. An erasure ends what is open: nobody writes the data anew.
TRUNCATE effaced.effaced_outbox, told;
SELECT correct(6, '6@new', 'x'), correct(7, '7@new');
SELECT event FROM news() WHERE event ~ 'step';
SELECT resolver AS in_flight, entry_id FROM effaced_outbox_claim('crm', 1, '1 hour') \gset
SELECT count(effaced_erase(6, '[{"kind": "crm", "value": "6"}]'));
TABLE entries;
SELECT event, id, payload FROM news();
-- where a worker is just at it, the erasure waits until it cannot be any more
SELECT resolver, round(extract(epoch FROM next_attempt_at - now()) / 60) FROM effaced_outbox WHERE operation = 'erase' ORDER BY seq;
SELECT effaced_outbox_succeed(:'entry_id');
CALL effaced_run_outbox();
SELECT what FROM told ORDER BY seq;
SELECT event, id FROM news();
-- who is erased is not corrected elsewhere, whoever asks; who is back is
SELECT effaced_rectify(6, '[{"category": "contact", "value": "6@again"}]', '[{"kind": "crm", "value": "6"}]') -> 'skipped_resolvers';
UPDATE customer SET mail = '6@back', stripe = 'cus_66' WHERE id = 6;
SELECT correct(6, '6@again', 'x');
-- a system that a correction never reached knows the subject as before, and is told of both;
-- one that it did reach is not. Who that was is forgotten with the corrections.
TRUNCATE effaced.effaced_outbox, told;
INSERT INTO customer (id, mail, stripe) VALUES (10, '10@old', 'cus_10');
SELECT effaced_register_resolver('s3');
SELECT count(effaced_rectify(10, '[{"category": "financial", "value": "cus_10new"}]', '[{"kind": "crm", "value": "10"}, {"kind": "s3", "value": "10"}]'));
SELECT effaced_outbox_fail(entry_id, 'gone', false) FROM effaced_outbox_claim('crm');
SELECT effaced_outbox_succeed(entry_id) FROM effaced_outbox_claim('s3');
SELECT e ->> 'resolver' AS resolver FROM jsonb_array_elements(effaced_erase(10) -> 'enqueued') e;
SELECT resolver, ref ->> 'value' AS ref, operation, status, last_error FROM effaced_outbox ORDER BY seq;
SELECT payload -> 'enqueued' AS enqueued FROM effaced_audit_events WHERE event_type = 'erasure_local_completed' AND subject_ref = '10';
-- once
SELECT effaced_erase(10) -> 'enqueued';
DELETE FROM effaced.effaced_resolvers WHERE name = 's3';

-- 5. Shared rows: a reference that two living owners have is for neither to correct.
TRUNCATE effaced.effaced_outbox, told;
CREATE TABLE member (id int PRIMARY KEY, name text);
CREATE TABLE account (id int PRIMARY KEY, a int REFERENCES member, b int REFERENCES member, a_crm text, shared_crm text);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE account IS '{"links": [{"name": "a", "path": "a"}, {"name": "b", "path": "b"}]}';
SECURITY LABEL FOR effaced ON COLUMN account.a_crm IS '{"category": "identity", "link": "a", "ref": "crm"}';
SECURITY LABEL FOR effaced ON COLUMN account.shared_crm IS '{"category": "communication", "ref": "crm"}';
INSERT INTO member VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO account VALUES (1, 1, 2, 'ada', 'both'), (2, 1, NULL, 'ada2', 'hers'), (3, NULL, 2, 'nobody', 'his');
SELECT count(effaced_rectify(1, '[{"category": "identity", "value": "A"}]', subject => 'member')), count(effaced_rectify(2, '[{"category": "identity", "value": "B"}]', subject => 'member'));
SELECT subject_id, ref ->> 'value' FROM effaced_outbox ORDER BY seq;

-- 6. Export: systems that have a function are asked, for each reference.
CREATE FUNCTION export(ref jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF ref ->> 'extra' = 'fail' THEN RAISE 'SECRET %', ref; END IF;
	RETURN CASE ref ->> 'extra'
		WHEN 'object' THEN '{}' WHEN 'word' THEN '"x"' WHEN 'mixed' THEN '[{"field": "x"}, 1]' WHEN 'number' THEN '[{"field": 7}]' WHEN 'key' THEN '[{"row_key": 7}]' WHEN 'moment' THEN '[{"expires_at": "soon"}]' WHEN 'source' THEN '[{"source": null}]' WHEN 'null' THEN NULL WHEN 'none' THEN '[]'
		ELSE jsonb_build_array('{}'::jsonb, jsonb_build_object('field', 'card', 'value', ref -> 'value', 'legal_basis', 'contract'),
			jsonb_build_object('source', 'stripe/notes', 'field', 'note', 'value', 'nice')) END;
END $$;
SELECT effaced_register_resolver('stripe', export => 'export(jsonb)'), effaced_register_resolver('crm', export => 'export(jsonb)'), effaced_register_resolver('silent');
SELECT jsonb_array_elements(effaced_export(8, '[{"kind": "silent", "value": "8"}]', 'customer') -> 'records');
SELECT r ->> 'source', r ->> 'field' FROM jsonb_array_elements(effaced_export(8, subject => 'customer', scope => 'portability') -> 'records') r;
CREATE FUNCTION asked(extra text) RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_array_length(e -> 'records') || ' ' || (e ->> 'incomplete_sources')
	  FROM effaced_export(8, jsonb_build_array('{"kind": "crm", "value": "8"}'::jsonb, jsonb_build_object('kind', 'crm', 'value', '8', 'extra', extra)), 'customer') e
$$;
SELECT x, asked(x) FROM unnest('{good,none,fail,object,word,mixed,number,key,moment,source,"null"}'::text[]) x;
SELECT payload FROM effaced_audit_events WHERE event_type = 'export_completed' ORDER BY seq DESC LIMIT 1;
-- as a page, too
SELECT page ~ '8@old' AND page ~ 'stripe/notes' AND page ~ 'nice' FROM effaced_export_html(8, 'customer') page;
-- each owner gets what is known of a shared row
SELECT effaced_register_resolver('crm', export => 'export(jsonb)');
SELECT r -> 'value' FROM jsonb_array_elements(effaced_export(2, subject => 'member') -> 'records') r WHERE r ->> 'field' = 'card' ORDER BY 1;
-- a label that names a system that is not registered
DELETE FROM effaced.effaced_resolvers WHERE name = 'crm';
SELECT try($$SELECT effaced_export(2, subject => 'member')$$);
SELECT try($$SELECT effaced_rectify(2, '[]', subject => 'member')$$);
