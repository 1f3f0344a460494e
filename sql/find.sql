-- From what a person writes to who it is.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION effaced;

CREATE TABLE customer (id int PRIMARY KEY, email varchar(100), phone text, points int);
CREATE TABLE purchase (id int PRIMARY KEY, customer_id int REFERENCES customer, ship_email text, seen_by int REFERENCES customer);
CREATE TABLE partner (code text PRIMARY KEY, mail text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON COLUMN customer.phone IS '{"category": "contact", "fact": "phone"}';
SECURITY LABEL FOR effaced ON COLUMN customer.points IS '{"category": "behavioral", "fact": "points"}';
SECURITY LABEL FOR effaced ON TABLE purchase IS '{"links": [{"name": "buyer", "path": "customer_id"}, {"name": "clerk", "path": "seen_by", "role": "accessor"}]}';
SECURITY LABEL FOR effaced ON COLUMN purchase.ship_email IS '{"category": "contact", "fact": "email"}';
SECURITY LABEL FOR effaced ON TABLE partner IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN partner.mail IS '{"category": "contact", "fact": "email"}';
INSERT INTO customer SELECT n, 'c' || n || '@example.com', '030 ' || n, n FROM generate_series(1, 20000) n;
INSERT INTO purchase SELECT n, n, 'c' || n || '@example.com' FROM generate_series(1, 20000) n;
INSERT INTO partner VALUES ('a:b', 'C7@Example.com'), ('z', 'z@example.com');
-- 3's mother pays with her address; a guest's order is nobody's; a clerk who saw it is no owner
INSERT INTO purchase VALUES (30001, 3, 'mother@example.com', 9), (30002, NULL, 'mother@example.com', 9), (30003, 4, 'c3@example.com', NULL);

-- 1. By fact, by category, of one kind of subject alone.
SELECT * FROM effaced_find('email', 'c3@example.com') ORDER BY 1, 2, 3;
SELECT * FROM effaced_find('contact', '030 12');
SELECT * FROM effaced_find('phone', 'c3@example.com');
SELECT * FROM effaced_find('email', 'z@example.com', 'customer');
SELECT * FROM effaced_find('email', 'z@example.com', 'partner');

-- 2. Nobody's rows are told, without an identifier; what accessors see is not theirs.
SELECT * FROM effaced_find('email', 'mother@example.com');

-- 3. Without case only where nothing else is found; a part of a value is none.
SELECT * FROM effaced_find('email', 'C7@Example.com');
SELECT * FROM effaced_find('email', 'C7@EXAMPLE.COM') ORDER BY 1, 2, 3;
SELECT * FROM effaced_find('email', 'example.com');

-- 4. Columns of other types; what is no value of the type is in no row.
SELECT * FROM effaced_find('points', '12');
SELECT * FROM effaced_find('points', 'twelve');

-- 5. Arguments. No message repeats the value.
SELECT * FROM effaced_find('e-mail', 'SECRET');
SELECT * FROM effaced_find('email', NULL);
SELECT * FROM effaced_find('email', 'SECRET', 'purchase');
SELECT count(*) FROM effaced_audit_events;

-- 6. Indexes serve: one on the column, and one on lower(column) where case does not count.
CREATE INDEX customer_email ON customer (email);
CREATE INDEX customer_lower ON customer (lower(email));
CREATE INDEX purchase_email ON purchase (ship_email);
CREATE INDEX purchase_lower ON purchase (lower(ship_email));
ANALYZE;
-- scans() counts how often the statement has read tables as a whole, and names the indexes that it has used
CREATE FUNCTION counts() RETURNS TABLE (name text, n bigint) LANGUAGE sql AS $$
    SELECT c.relname::text, pg_stat_get_xact_numscans(c.oid) FROM pg_class c
     WHERE c.relname IN ('customer', 'purchase', 'customer_email', 'customer_lower', 'purchase_email', 'purchase_lower') $$;
CREATE FUNCTION scans(statement text) RETURNS TABLE (name text, n bigint) LANGUAGE plpgsql AS $$
DECLARE
    before jsonb;
BEGIN
    SELECT jsonb_object_agg(c.name, c.n) INTO before FROM counts() c;
    EXECUTE statement;
    RETURN QUERY SELECT c.name, c.n - (before ->> c.name)::bigint FROM counts() c WHERE c.n > (before ->> c.name)::bigint ORDER BY 1;
END $$;
SELECT * FROM scans($$SELECT * FROM effaced_find('email', 'c12@example.com', 'customer')$$);
SELECT * FROM scans($$SELECT * FROM effaced_find('email', 'C12@Example.com', 'customer')$$);
DROP INDEX customer_email, customer_lower;
-- without one the table is read
SELECT * FROM scans($$SELECT * FROM effaced_find('email', 'c12@example.com', 'customer')$$);

-- 7. Row-level security in the way is an error, and so is a missing privilege: nobody is overlooked.
CREATE ROLE regress_desk;
SELECT count(*) > 0 FROM effaced_grant('regress_desk', 'export');
GRANT SELECT ON customer, purchase TO regress_desk;
SET ROLE regress_desk;
SELECT * FROM effaced_find('email', 'c3@example.com');
SELECT subject_id FROM effaced_find('phone', '030 3');
RESET ROLE;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
SET ROLE regress_desk;
SELECT subject_id FROM effaced_find('phone', '030 3');
RESET ROLE;
DROP OWNED BY regress_desk;
DROP ROLE regress_desk;
