-- Policies that hide the rows of restricted subjects from ordinary roles.
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

CREATE TABLE customer (id int PRIMARY KEY, email text);
CREATE TABLE invoice (id int PRIMARY KEY, customer_id int REFERENCES customer, who text);
CREATE TABLE line (id int PRIMARY KEY, invoice_id int REFERENCES invoice, what text);
CREATE TABLE plain (id int);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.who IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE line IS '{"path": "invoice.customer"}';
SECURITY LABEL FOR effaced ON COLUMN line.what IS '{"category": "behavioral"}';
INSERT INTO customer SELECT g, 'mail ' || g FROM generate_series(1, 4) g;
INSERT INTO invoice SELECT g, g, 'who' FROM generate_series(1, 4) g;
INSERT INTO invoice VALUES (5, NULL, 'nobody');
INSERT INTO line SELECT g, g, 'what' FROM generate_series(1, 5) g;
INSERT INTO line VALUES (6, NULL, 'nothing');
CREATE ROLE regress_app;
CREATE ROLE regress_owner;
SELECT effaced_admit_labels('regress_owner');
GRANT SELECT, INSERT, UPDATE, DELETE ON customer, invoice, line TO regress_app;
GRANT EXECUTE ON FUNCTION try, effaced_erase(text, jsonb, regclass, regclass[], text), effaced_export(text, jsonb, regclass, text) TO regress_app, regress_owner;

-- 1. Nobody is restricted: nothing is hidden.
SELECT effaced_restriction_policy('customer'), effaced_restriction_policy('invoice', 'ads'), effaced_restriction_policy('line', 'ads');
SELECT polrelid::regclass, polname, polpermissive, polcmd FROM pg_policy ORDER BY 1, 2;
SELECT oid::regclass, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname IN ('customer', 'invoice', 'line') ORDER BY 1;
SET ROLE regress_app;
SELECT (SELECT count(*) FROM customer), (SELECT count(*) FROM invoice), (SELECT count(*) FROM line);
RESET ROLE;

-- 2. For one purpose, and for all.
SELECT effaced_restrict('2', 'ads') IS NOT NULL, effaced_restrict('3', 'stats') IS NOT NULL, effaced_restrict('4') IS NOT NULL;
SET ROLE regress_app;
SELECT array_agg(id ORDER BY id) FROM customer;
SELECT array_agg(id ORDER BY id) FROM invoice;
-- also where the way leads over a table with a policy of its own
SELECT array_agg(id ORDER BY id) FROM line;
SELECT count(*) FROM customer JOIN invoice ON customer_id = customer.id JOIN line ON invoice_id = invoice.id;
UPDATE line SET what = 'changed';
DELETE FROM line WHERE id IN (2, 4);
-- rows may still come in
INSERT INTO invoice VALUES (6, 4, 'who');
SELECT count(*) FROM invoice WHERE id = 6;
RESET ROLE;
SELECT id, what FROM line ORDER BY id;
-- whoever owns the table, and superusers, see all rows; so does the erasure
SELECT count(*) FROM customer;
SET ROLE regress_app;
SELECT try($$SELECT effaced_erase('4')$$);
SELECT try($$SELECT effaced_erase('1')$$);
SELECT try($$SELECT effaced_export('4')$$);
RESET ROLE;
SELECT jsonb_array_length(effaced_export('4') -> 'records'), effaced_erase('4') -> 'deleted';
-- what is lifted is seen again
SELECT effaced_lift_restriction('2', 'ads') IS NOT NULL;
SET ROLE regress_app;
SELECT array_agg(id ORDER BY id) FROM line;
-- within one transaction too
RESET ROLE;
BEGIN;
SELECT effaced_restrict('1') IS NOT NULL;
SET LOCAL ROLE regress_app;
SELECT array_agg(id ORDER BY id) FROM customer;
ROLLBACK;

-- 3. The set is looked up once per query, by a hashed subplan.
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        -- how a subplan is written out depends on the version
        RETURN NEXT regexp_replace(line, 'Filter: .*(hashed SubPlan 1).*', 'Filter: \1');
    END LOOP;
END $$;
SELECT plan('SELECT * FROM line');
SET ROLE regress_app;
SELECT plan('SELECT * FROM invoice WHERE id = 3');
-- a view of the owner's shows all rows, as with any policy
RESET ROLE;

-- 4. Labels that have changed since: an error, not rows that should be hidden.
SELECT effaced_restrict('2', 'ads') IS NOT NULL;
ALTER TABLE invoice ADD payer int REFERENCES customer;
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"links": [{"name": "c", "path": "customer_id"}, {"name": "p", "path": "payer"}]}';
SET ROLE regress_app;
SELECT try($$SELECT * FROM invoice$$);
SELECT try($$SELECT * FROM customer$$);
RESET ROLE;
SELECT effaced_drop_restriction_policy('invoice'), effaced_restriction_policy('invoice', 'ads');
UPDATE invoice SET payer = 2 WHERE id = 1;
SET ROLE regress_app;
SELECT array_agg(id ORDER BY id) FROM invoice;
RESET ROLE;
-- also where the links have the same names still, but lead elsewhere
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"links": [{"name": "c", "path": "payer"}, {"name": "p", "path": "customer_id"}]}';
SET ROLE regress_app;
SELECT try($$SELECT * FROM invoice$$);
RESET ROLE;

-- 5. Dropping leaves the table as it was.
SELECT effaced_drop_restriction_policy('customer'), effaced_drop_restriction_policy('invoice'), effaced_drop_restriction_policy('line');
SELECT count(*) FROM pg_policy;
SELECT oid::regclass, relrowsecurity FROM pg_class WHERE relname IN ('customer', 'invoice', 'line') ORDER BY 1;
SELECT count(*) FROM pg_proc p, aclexplode(proacl) WHERE grantee = 0 AND proname ~ '^effaced';
-- a table with policies keeps them, and gets no permissive one
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON invoice USING (id > 1);
SELECT effaced_restriction_policy('invoice');
SET ROLE regress_app;
SELECT array_agg(id ORDER BY id) FROM invoice;
RESET ROLE;
SELECT effaced_drop_restriction_policy('invoice');
SELECT polname, relrowsecurity FROM pg_policy JOIN pg_class c ON c.oid = polrelid;
-- without policies but enabled: nobody sees anything, before and after
ALTER TABLE line ENABLE ROW LEVEL SECURITY;
SELECT effaced_restriction_policy('line');
SET ROLE regress_app;
SELECT count(*) FROM line;
RESET ROLE;
SELECT effaced_drop_restriction_policy('line');
SELECT relrowsecurity FROM pg_class WHERE relname = 'line';
-- a policy that came since stays in force
SELECT effaced_restriction_policy('customer');
CREATE POLICY since ON customer USING (id < 3);
SELECT effaced_drop_restriction_policy('customer');
SELECT polname, relrowsecurity FROM pg_policy JOIN pg_class c ON c.oid = polrelid WHERE relname = 'customer';
ALTER TABLE customer DISABLE ROW LEVEL SECURITY;

-- 6. Where it cannot be.
SELECT try($$SELECT effaced_restriction_policy('customer')$$);
DROP POLICY since ON customer;
SELECT try($$SELECT effaced_restriction_policy('plain')$$);
SELECT try($$SELECT effaced_restriction_policy(NULL)$$);
SELECT try($$SELECT effaced_restriction_policy('customer', ' ')$$);
SELECT try($$SELECT effaced_drop_restriction_policy('customer')$$);
SELECT try($$SELECT effaced_drop_restriction_policy(NULL)$$);
SELECT effaced_restriction_policy('customer');
SELECT try($$SELECT effaced_restriction_policy('customer', 'ads')$$);
SELECT effaced_drop_restriction_policy('customer');
GRANT EXECUTE ON FUNCTION effaced_restriction_policy, effaced_drop_restriction_policy TO regress_app, regress_owner;
SET ROLE regress_app;
SELECT try($$SELECT effaced_restriction_policy('customer')$$);
SELECT try($$SELECT effaced_drop_restriction_policy('customer')$$);
RESET ROLE;

-- 7. An owner who is no superuser; composite keys, hostile names, "where", rows reached against a reference,
--    case-insensitive keys.
CREATE EXTENSION citext;
CREATE SCHEMA "Sch"".x" AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA "Sch"".x" TO regress_app;
GRANT USAGE, CREATE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE "Sch"".x"."Per son" ("I d" citext, "no" numeric, "na'me" text, address_id int, PRIMARY KEY ("I d", "no"));
CREATE TABLE "Sch"".x".address (id int PRIMARY KEY, street text);
ALTER TABLE "Sch"".x"."Per son" ADD FOREIGN KEY (address_id) REFERENCES "Sch"".x".address;
CREATE TABLE "Sch"".x"."Lo""g" (n int, "own er" citext, "own no" numeric, kind text, "te""xt" text, FOREIGN KEY ("own er", "own no") REFERENCES "Sch"".x"."Per son");
SECURITY LABEL FOR effaced ON TABLE "Sch"".x"."Per son" IS '{"path": "", "subject": "p''1"}';
SECURITY LABEL FOR effaced ON COLUMN "Sch"".x"."Per son"."na'me" IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE "Sch"".x".address IS '{"path": "Per son(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN "Sch"".x".address.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE "Sch"".x"."Lo""g" IS '{"path": "Per son", "where": "kind = ''p''"}';
SECURITY LABEL FOR effaced ON COLUMN "Sch"".x"."Lo""g"."te""xt" IS '{"category": "behavioral"}';
INSERT INTO "Sch"".x".address VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO "Sch"".x"."Per son" VALUES ('a:B', 1.0, 'x', 1), ('C\d', 2, 'y', 2), ('e', 3, 'z', 2);
INSERT INTO "Sch"".x"."Lo""g" VALUES (1, 'A:b', 1, 'p', 'x'), (2, 'A:b', 1, 'firm', 'x'), (3, 'c\D', 2.00, 'p', 'x'), (4, 'e', 3, 'p', 'x'), (5, NULL, NULL, 'p', 'x');
GRANT SELECT ON ALL TABLES IN SCHEMA "Sch"".x" TO regress_app;
SELECT effaced_restriction_policy('"Sch"".x"."Per son"', 'it''s'), effaced_restriction_policy('"Sch"".x".address', 'it''s'), effaced_restriction_policy('"Sch"".x"."Lo""g"', 'it''s');
RESET ROLE;
SELECT effaced_restrict(effaced_subject_id('A:b', '1'), 'it''s', subject => '"Sch"".x"."Per son"') IS NOT NULL,
       effaced_restrict(effaced_subject_id('C\D', '2'), subject => '"Sch"".x"."Per son"') IS NOT NULL;
SET ROLE regress_app;
SELECT array_agg("I d") FROM "Sch"".x"."Per son";
SELECT array_agg(id ORDER BY id) FROM "Sch"".x".address;
SELECT array_agg(n ORDER BY n) FROM "Sch"".x"."Lo""g";
-- whatever the search_path and the settings of the session
SET search_path = pg_temp;
SET DateStyle = 'SQL, DMY';
SELECT array_agg(n ORDER BY n) FROM "Sch"".x"."Lo""g";
RESET search_path;
RESET ROLE;
SET ROLE regress_owner;
SELECT count(*) FROM "Sch"".x"."Per son";
SELECT effaced_drop_restriction_policy('"Sch"".x"."Per son"'), effaced_drop_restriction_policy('"Sch"".x".address'), effaced_drop_restriction_policy('"Sch"".x"."Lo""g"');
RESET ROLE;
SELECT polname FROM pg_policy;

-- 8. Keys whose text depends on settings.
CREATE TABLE night (at timestamptz PRIMARY KEY, d date UNIQUE, name text);
CREATE TABLE stay (n int, at timestamptz REFERENCES night, note text);
SECURITY LABEL FOR effaced ON TABLE night IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN night.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN stay.note IS '{"category": "identity"}';
INSERT INTO night VALUES ('2024-02-03 04:05:06.789+00', '2024-02-03', 'x'), ('2024-03-02 04:05:06.789+00', '2024-03-02', 'y');
INSERT INTO stay SELECT row_number() OVER (ORDER BY at), at, 'x' FROM night;
SELECT effaced_restriction_policy('night'), effaced_restriction_policy('stay');
SELECT effaced_restrict('2024-02-03 04:05:06.789+00', subject => 'night') IS NOT NULL;
GRANT SELECT ON night, stay TO regress_app;
SET ROLE regress_app;
SET TimeZone = 'Asia/Tokyo';
SELECT name FROM night;
SELECT n FROM stay;
RESET ROLE;
SELECT effaced_drop_restriction_policy('night'), effaced_drop_restriction_policy('stay');

-- 9. Keys that are compared by a collation of their own.
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE nick (name text COLLATE ignore_case PRIMARY KEY, mail text);
CREATE TABLE post (n int, author text REFERENCES nick, body text);
SECURITY LABEL FOR effaced ON TABLE nick IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN nick.mail IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN post.body IS '{"category": "contact"}';
INSERT INTO nick VALUES ('Ada', 'x'), ('Ben', 'y');
INSERT INTO post VALUES (1, 'ADA', 'x'), (2, 'Ben', 'y');
SELECT effaced_restriction_policy('nick'), effaced_restriction_policy('post'), effaced_restrict('ada', subject => 'nick') IS NOT NULL;
GRANT SELECT ON nick, post TO regress_app;
SET ROLE regress_app;
SELECT name FROM nick;
SELECT n FROM post;
RESET ROLE;
