-- A plan foretells what its writing would run into: ZE004 before any row is touched.
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

-- 1. A constant under a unique index: the second person would collide with the first.
CREATE TABLE m (id int PRIMARY KEY, nick text, plan text);
INSERT INTO m VALUES (1, 'nora', 'a'), (2, 'omar', 'b');
SECURITY LABEL FOR effaced ON TABLE m IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN m.nick IS '{"category": "identity", "surrogate": "''deleted''"}';
-- without an index they may all be the same
SELECT try($$SELECT * FROM effaced_plan(1)$$);
CREATE UNIQUE INDEX m_nick ON m (nick);
SELECT try($$SELECT * FROM effaced_plan(1)$$);
SELECT code, message FROM effaced_lint() WHERE severity = 'error';
-- with another column that stays, over some rows, or where the key tells them apart: nothing is proven
DROP INDEX m_nick; CREATE UNIQUE INDEX m_nick ON m (nick, plan);
SELECT try($$SELECT * FROM effaced_plan(1)$$);
DROP INDEX m_nick; CREATE UNIQUE INDEX m_nick ON m (nick) WHERE nick <> 'deleted';
SELECT try($$SELECT * FROM effaced_plan(1)$$);
DROP INDEX m_nick; CREATE UNIQUE INDEX m_nick ON m (nick);
SECURITY LABEL FOR effaced ON COLUMN m.nick IS '{"category": "identity", "surrogate": "''deleted-'' || id"}';
SELECT try($$SELECT * FROM effaced_plan(1)$$);
-- NULLs are distinct unless the index says otherwise; what "set" writes counts
SECURITY LABEL FOR effaced ON COLUMN m.nick IS '{"category": "identity", "surrogate": "NULL"}';
SELECT try($$SELECT * FROM effaced_plan(1)$$);
DROP INDEX m_nick; CREATE UNIQUE INDEX m_nick ON m (nick, plan) NULLS NOT DISTINCT;
SELECT try($$SELECT * FROM effaced_plan(1)$$);
SECURITY LABEL FOR effaced ON TABLE m IS '{"path": "", "set": {"plan": "''none''"}}';
SELECT try($$SELECT * FROM effaced_plan(1)$$);
SECURITY LABEL FOR effaced ON TABLE m IS NULL;
SECURITY LABEL FOR effaced ON COLUMN m.nick IS NULL;

-- 2. A constant that no partition takes.
CREATE TABLE u (id int PRIMARY KEY, n text);
INSERT INTO u VALUES (1);
CREATE TABLE q (u_id int REFERENCES u, born date, ward text) PARTITION BY RANGE (born);
CREATE TABLE q90 PARTITION OF q FOR VALUES FROM ('1990-01-01') TO ('2000-01-01');
INSERT INTO q VALUES (1, '1994-02-03', 'a');
SECURITY LABEL FOR effaced ON TABLE u IS '{"path": ""}';
SECURITY LABEL FOR effaced ON TABLE q IS '{"path": "u"}';
SECURITY LABEL FOR effaced ON COLUMN q.born IS '{"category": "identity"}';
SELECT try($$SELECT effaced_erase(1)$$);
SECURITY LABEL FOR effaced ON COLUMN q.born IS '{"category": "identity", "surrogate": "''2024-01-01''"}';
SELECT try($$SELECT effaced_erase(1)$$);
SECURITY LABEL FOR effaced ON COLUMN q.born IS '{"category": "identity"}';
CREATE TABLE q70 PARTITION OF q FOR VALUES FROM ('1970-01-01') TO ('1980-01-01') PARTITION BY LIST (ward);
SELECT try($$SELECT effaced_erase(1)$$);
CREATE TABLE q70a PARTITION OF q70 FOR VALUES IN ('a');
SELECT try($$SELECT effaced_erase(1)$$);
SELECT * FROM q;
DROP TABLE q70; CREATE TABLE qrest PARTITION OF q DEFAULT;
SELECT try($$SELECT effaced_erase(1)$$);

-- 3. A published table without a replica identity.
CREATE TABLE l (u_id int REFERENCES u, what text, note text);
SECURITY LABEL FOR effaced ON TABLE l IS '{"path": "u"}';
SECURITY LABEL FOR effaced ON COLUMN l.what IS '{"category": "behavioral", "erasure": "anonymize"}';
SELECT try($$SELECT effaced_erase(1)$$);
SET client_min_messages = error;
CREATE PUBLICATION p FOR TABLE l WITH (publish = 'insert, delete');
RESET client_min_messages;
SELECT try($$SELECT effaced_erase(1)$$);
ALTER PUBLICATION p SET (publish = 'update');
SECURITY LABEL FOR effaced ON COLUMN l.what IS '{"category": "behavioral", "erasure": "anonymize", "description": "what"}';
SELECT try($$SELECT * FROM effaced_plan(1)$$);
ALTER TABLE l REPLICA IDENTITY FULL;
SELECT try($$SELECT effaced_erase(1)$$);
ALTER TABLE l REPLICA IDENTITY DEFAULT;
ALTER PUBLICATION p SET (publish = 'delete');
SECURITY LABEL FOR effaced ON TABLE l IS '{"path": "u", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN l.what IS '{"category": "behavioral"}';
SELECT try($$SELECT * FROM effaced_plan(1)$$);

-- 4. No hint that would make erasures fail: a history that a trigger fills as its row goes.
CREATE TABLE patient (id int PRIMARY KEY, name text);
CREATE TABLE patient_history (LIKE patient);
CREATE FUNCTION v() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO patient_history VALUES (OLD.id, OLD.name); RETURN OLD; END $$;
CREATE TRIGGER v BEFORE DELETE ON patient FOR EACH ROW EXECUTE FUNCTION v();
SECURITY LABEL FOR effaced ON TABLE patient IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN patient.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE patient_history IS '{"owned": true, "hops": [{"source_columns": ["id"], "target_table": "patient", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN patient_history.name IS '{"category": "identity"}';
SELECT hint FROM effaced_lint() WHERE code = 'hop_without_foreign_key';
