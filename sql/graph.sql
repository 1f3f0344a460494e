-- How tables reach the subject: paths, hops, inference, and the order of deletion.
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

-- link() labels a table with a path and shows the hops that it means, or why not.
CREATE FUNCTION link(relation regclass, path text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SECURITY LABEL FOR effaced ON TABLE %s IS %L', relation, json_build_object('path', path));
    RETURN try(format('SELECT hops(%L)', relation::text));
END $$;
CREATE FUNCTION hops(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg((h ->> 'source_table') || (h -> 'source_columns')::text || ' -> ' || (h ->> 'target_table') || (h -> 'target_columns')::text, '; ' ORDER BY n)
      FROM effaced_table_access(relation) a, jsonb_array_elements(a.hops) WITH ORDINALITY AS x(h, n) $$;
CREATE FUNCTION shown(relation regclass, path text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text := link(relation, path);
BEGIN
    IF result = 'ok' THEN
        RETURN hops(relation);
    END IF;
    RETURN result;
END $$;

CREATE TABLE users (id int PRIMARY KEY, email text);
CREATE TABLE teams (id int PRIMARY KEY, boss_id int CONSTRAINT boss REFERENCES users, users int CONSTRAINT keeper REFERENCES users);
SECURITY LABEL FOR effaced ON TABLE users IS '{"path": ""}';

-- 1. A segment names, in this order: a constraint, a single column, that column without _id, the table it leads to.
CREATE TABLE a (id int PRIMARY KEY, user_id int CONSTRAINT who REFERENCES users, note text);
SELECT shown('a', 'who');
SELECT shown('a', 'user_id');
SELECT shown('a', 'user');
SELECT shown('a', 'users');
SELECT shown('a', ' users ');
-- a constraint's name wins over a column's, a column's over that without _id, and that over a table's
CREATE TABLE b (x int CONSTRAINT y REFERENCES users, y int CONSTRAINT z REFERENCES users, y_id int CONSTRAINT users_key REFERENCES users, users_id int CONSTRAINT w REFERENCES users, note text);
SELECT shown('b', 'y');
SELECT shown('b', 'z');
ALTER TABLE b RENAME CONSTRAINT y TO q;
SELECT shown('b', 'y');
ALTER TABLE b RENAME COLUMN y TO yy;
SELECT shown('b', 'y');
SELECT shown('b', 'users');
ALTER TABLE b RENAME COLUMN users_id TO person;
SELECT shown('b', 'users');
SELECT shown('b', 'person');
DROP TABLE b;
-- several columns have no name of a column
CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b), user_id int REFERENCES users);
CREATE TABLE c (id int, pa int, pb int, note text, CONSTRAINT c_pair FOREIGN KEY (pa, pb) REFERENCES pairs);
SELECT shown('c', 'c_pair.user');
SELECT shown('c', 'pairs.users');
SELECT shown('c', 'pa.users');
DROP TABLE c;

-- 2. What fits nothing, or more than one thing, lists the candidates.
SELECT shown('a', 'owner');
SELECT shown('a', 'User_Id');
SELECT shown('a', 'user id');
SELECT shown('a', 'public.users');
SELECT shown('a', 'user_id.nothing');
CREATE TABLE d (id int PRIMARY KEY, buyer int REFERENCES users, seller int REFERENCES users, note text);
SELECT shown('d', 'users');
SELECT shown('d', 'seller');
-- two foreign keys on one column
ALTER TABLE d ADD CONSTRAINT buyer_again FOREIGN KEY (buyer) REFERENCES users;
SELECT shown('d', 'buyer');
SELECT shown('d', 'buyer_again');
-- a table that references nothing
CREATE TABLE alone (id int PRIMARY KEY, note text);
SELECT shown('alone', 'users');
DROP TABLE alone;
-- malformed
SELECT shown('a', '.');
SELECT shown('a', 'user_id.');
SELECT shown('a', '.user_id');
SELECT shown('a', 'user_id..x');
SELECT shown('a', '"user_id');
SELECT shown('a', 'teams(');
SELECT shown('a', 'teams()');
SELECT shown('a', '(user_id)');
SELECT shown('a', 'user_id');
-- a path has to arrive at a subject table
CREATE TABLE e (id int, a int, b int, note text, FOREIGN KEY (a, b) REFERENCES pairs);
SELECT shown('e', 'pairs');
SELECT shown('e', 'pairs.user');
DROP TABLE e, d, pairs;

-- 3. Against a reference: child(column, ...)
CREATE TABLE address (id int PRIMARY KEY, street text);
ALTER TABLE users ADD address_id int REFERENCES address;
SELECT shown('address', 'users(address_id)');
SELECT shown('address', 'users( address_id )');
SELECT shown('address', 'users(email)');
SELECT shown('address', 'users(id, address_id)');
SELECT shown('address', 'a(user_id)');
SELECT shown('address', 'users');
SECURITY LABEL FOR effaced ON TABLE address IS NULL;
-- a many-to-many one goes through the table between
CREATE TABLE item (x int, y int, what text, PRIMARY KEY (x, y));
CREATE TABLE share (id int PRIMARY KEY, x int, y int, owner int REFERENCES users, FOREIGN KEY (x, y) REFERENCES item);
SELECT shown('item', 'share(x, y).owner');
SELECT shown('item', 'share(y,x).users');
SELECT shown('item', 'share(x).owner');
SECURITY LABEL FOR effaced ON TABLE item IS NULL;
ALTER TABLE users DROP address_id;
DROP TABLE item CASCADE;
DROP TABLE address, share;

-- 4. Inference: exactly one chain is used.
SECURITY LABEL FOR effaced ON TABLE a IS NULL;
SECURITY LABEL FOR effaced ON COLUMN a.note IS '{"category": "communication"}';
SELECT hops('a');
CREATE TABLE aa (id int PRIMARY KEY, a_id int REFERENCES a, note text);
SECURITY LABEL FOR effaced ON COLUMN aa.note IS '{"category": "communication"}';
SELECT hops('aa');
-- also where the table's label says nothing of the way
SECURITY LABEL FOR effaced ON TABLE aa IS '{"owned": true}';
SELECT hops('aa');
SELECT relation, fully_pii_owned FROM effaced_subject_graph();
-- self-references are no way, and a nullable reference is one like others
ALTER TABLE aa ADD parent int REFERENCES aa;
SELECT hops('aa');
-- none
CREATE TABLE nowhere (id int, note text);
SECURITY LABEL FOR effaced ON COLUMN nowhere.note IS '{"category": "communication"}';
SELECT try($$SELECT * FROM effaced_subject_graph()$$);
SELECT try($$SELECT * FROM effaced_plan('1')$$);
SELECT try($$SELECT effaced_erase('1')$$);
DROP TABLE nowhere;
-- several: the hint has a statement for each, ready to run
ALTER TABLE aa ADD team_id int REFERENCES teams;
SELECT try($$SELECT hops('aa')$$);
SELECT try($$SELECT hops('aa')$$) AS said \gset
SELECT count(*) FROM regexp_split_to_table(:'said', E'\n') s WHERE s LIKE 'SECURITY LABEL%';
SELECT s FROM regexp_split_to_table(:'said', E'\n') WITH ORDINALITY x(s, n) WHERE s LIKE 'SECURITY LABEL%' ORDER BY n LIMIT 1 \gexec
SELECT hops('aa');
SELECT s FROM regexp_split_to_table(:'said', E'\n') WITH ORDINALITY x(s, n) WHERE s LIKE 'SECURITY LABEL%' ORDER BY n DESC LIMIT 1 \gexec
SELECT hops('aa');
SELECT s FROM regexp_split_to_table(:'said', E'\n') WITH ORDINALITY x(s, n) WHERE s LIKE 'SECURITY LABEL%' ORDER BY n OFFSET 1 LIMIT 1 \gexec
SELECT hops('aa'), effaced_manifest_table('aa') #>> '{subject_link,owned}';
DROP TABLE aa;
-- a way that opens later between tables without labels is seen at once
CREATE TABLE near (id int PRIMARY KEY);
CREATE TABLE far (id int PRIMARY KEY, user_id int REFERENCES users);
CREATE TABLE visits (id int PRIMARY KEY, user_id int REFERENCES users, near_id int REFERENCES near, note text);
SECURITY LABEL FOR effaced ON COLUMN visits.note IS '{"category": "communication"}';
SELECT hops('visits');
ALTER TABLE near ADD far_id int REFERENCES far;
SELECT try($$SELECT hops('visits')$$);
ALTER TABLE near DROP far_id;
SELECT hops('visits');
DROP TABLE visits, near, far;

-- 5. Hops: explicit joins, where no foreign key is declared
CREATE TABLE log (user_ref bigint, session uuid, line text);
CREATE TABLE sessions (id uuid PRIMARY KEY, user_id int REFERENCES users);
CREATE FUNCTION hopping(label text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SECURITY LABEL FOR effaced ON TABLE log IS %L', label);
    RETURN coalesce(nullif(try('SELECT hops(''log'')'), 'ok'), hops('log'));
END $$;
SELECT hopping('{"hops": [{"source_columns": ["user_ref"], "target_table": "users", "target_columns": ["id"]}]}');
SELECT hopping('{"hops": [{"source_columns": ["session"], "target_table": "sessions", "target_columns": ["id"]}, {"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}');
SELECT hopping('{"hops": [{"source_columns": ["session"], "target_table": "sessions", "target_columns": ["id"]}]}');
SELECT hopping('{"hops": [{"source_columns": ["session"], "target_table": "users", "target_columns": ["id"]}]}');
SELECT hopping('{"hops": [{"source_columns": ["user_ref"], "target_table": "people", "target_columns": ["id"]}]}');
SELECT hopping('{"hops": [{"source_columns": ["user_ref"], "target_table": "users", "target_columns": ["uid"]}]}');
SELECT hopping('{"hops": [{"source_columns": ["session"], "target_table": "sessions", "target_columns": ["id"]}, {"source_columns": ["uid"], "target_table": "users", "target_columns": ["id"]}]}');
-- a chain ends at the first subject table it meets
SELECT hopping('{"hops": [{"source_columns": ["user_ref"], "target_table": "users", "target_columns": ["id"]}, {"source_columns": ["id"], "target_table": "teams", "target_columns": ["boss_id"]}]}');
-- the = of citext is for nothing else, though text may stand for it elsewhere
CREATE EXTENSION citext;
CREATE TABLE handles (handle citext PRIMARY KEY, user_id int REFERENCES users);
SELECT hopping('{"hops": [{"source_columns": ["line"], "target_table": "handles", "target_columns": ["handle"]}, {"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}');
DROP TABLE log, handles;

-- 6. Partitioned tables: keys cloned onto partitions are no candidates.
CREATE TABLE events (user_id int REFERENCES users, day date, what text) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SECURITY LABEL FOR effaced ON COLUMN events.what IS '{"category": "behavioral"}';
SELECT hops('events');
SELECT shown('events', 'users');
-- references onto a partitioned table are cloned too
CREATE TABLE parcels (id int, day date, user_id int REFERENCES users, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE parcels_2024 PARTITION OF parcels FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE stops (id int, day date, place text, FOREIGN KEY (id, day) REFERENCES parcels);
SECURITY LABEL FOR effaced ON COLUMN stops.place IS '{"category": "location"}';
SELECT hops('stops');
SELECT effaced_deletion_order('{users, parcels, stops}');
DROP TABLE events, stops, parcels;

-- 7. Self-references order nothing; cycles are broken where a reference can be, and named where not.
CREATE TABLE people (id int PRIMARY KEY, manager int REFERENCES people, user_id int REFERENCES users, note text);
SECURITY LABEL FOR effaced ON COLUMN people.note IS '{"category": "communication"}';
SELECT hops('people');
SELECT effaced_deletion_order('{users, people}');
SELECT effaced_deletion_order('{people}'), effaced_deletion_order('{}'), effaced_deletion_order(NULL);
SELECT effaced_deletion_order('{users, users, a, teams, sessions}');
SELECT effaced_deletion_order('{pg_class, users}');
SELECT try($$SELECT effaced_deletion_order('{users, NULL}')$$);
SELECT try($$SELECT effaced_deletion_order('{users, 1}')$$);
CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE egg (id int PRIMARY KEY, hen int NOT NULL REFERENCES hen);
ALTER TABLE hen ADD CONSTRAINT from_egg FOREIGN KEY (egg) REFERENCES egg;
SELECT try($$SELECT effaced_deletion_order('{hen, egg, users}')$$);
ALTER TABLE hen ALTER CONSTRAINT from_egg DEFERRABLE;
SELECT effaced_deletion_order('{hen, egg, users}');
ALTER TABLE hen ALTER CONSTRAINT from_egg NOT DEFERRABLE;
ALTER TABLE hen ALTER egg DROP NOT NULL;
SELECT effaced_deletion_order('{hen, egg, users}');
DROP TABLE hen, egg, people CASCADE;

-- 8. The graph: rows in deletion order, the subject where its references end
SECURITY LABEL FOR effaced ON TABLE sessions IS '{"path": "user"}';
SECURITY LABEL FOR effaced ON TABLE teams IS '{"links": [{"name": "boss", "path": "boss_id"}, {"name": "reader", "path": "keeper", "role": "accessor"}]}';
SELECT ordinal, relation, link, role, fully_pii_owned, is_subject_table, jsonb_array_length(hops) FROM effaced_subject_graph();
SELECT ordinal, relation, link, role, hops FROM effaced_table_access('teams');
SELECT ordinal, relation, link, role, hops FROM effaced_table_access('users');
SELECT effaced_graph_dot();
CREATE TABLE outside (id int);
SELECT try($$SELECT * FROM effaced_table_access('outside')$$);
SELECT try($$SELECT * FROM effaced_table_access(NULL)$$);

-- 9. Several subject tables: one is named, or the error lists them; an unknown one is refused.
CREATE TABLE staff (id int PRIMARY KEY, name text, user_id int REFERENCES users);
SECURITY LABEL FOR effaced ON TABLE staff IS '{"path": "", "subject": "employee"}';
SELECT try($$SELECT * FROM effaced_subject_graph()$$);
SELECT try($$SELECT * FROM effaced_table_access('teams')$$);
SELECT try($$SELECT effaced_graph_dot()$$);
SELECT try($$SELECT * FROM effaced_subject_graph('teams')$$);
SELECT relation, is_subject_table FROM effaced_subject_graph('users');
SELECT relation, is_subject_table FROM effaced_subject_graph('staff');
SELECT relation FROM effaced_table_access('teams', 'users');
SELECT try($$SELECT * FROM effaced_table_access('teams', 'staff')$$);
-- a chain ends at the first subject table it meets: badges are staff's, not users'
CREATE TABLE badges (id int PRIMARY KEY, staff_id int REFERENCES staff, code text);
SECURITY LABEL FOR effaced ON COLUMN badges.code IS '{"category": "identity"}';
SELECT relation FROM effaced_subject_graph('users');
SELECT relation, hops FROM effaced_table_access('badges', 'staff');
SECURITY LABEL FOR effaced ON TABLE badges IS '{"path": "staff.user"}';
SELECT relation, hops FROM effaced_table_access('badges', 'staff');
-- no subject table at all
SELECT effaced_remove_labels() > 0;
SELECT try($$SELECT * FROM effaced_subject_graph()$$);
SELECT try($$SELECT effaced_erase('1')$$);
DROP TABLE badges, staff, teams, sessions, a;

-- 10. Hostile names
CREATE SCHEMA "Ünï";
CREATE TABLE "Ünï"."we""ird.tab le" ("sel""ect" int PRIMARY KEY, "E-mail" text);
CREATE TABLE "Ünï"."child (x).y" ("we""ird.tab le_id" int CONSTRAINT "a.b" REFERENCES "Ünï"."we""ird.tab le", "the Other" int CONSTRAINT "c""d, e" REFERENCES "Ünï"."we""ird.tab le", "\" text);
SECURITY LABEL FOR effaced ON TABLE "Ünï"."we""ird.tab le" IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN "Ünï"."we""ird.tab le"."E-mail" IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN "Ünï"."child (x).y"."\" IS '{"category": "contact"}';
SELECT try($$SELECT * FROM effaced_subject_graph()$$);
SELECT try($$SELECT * FROM effaced_subject_graph()$$) AS said \gset
SELECT s FROM regexp_split_to_table(:'said', E'\n') WITH ORDINALITY x(s, n) WHERE s LIKE 'SECURITY LABEL%' ORDER BY n \gexec
SELECT hops('"Ünï"."child (x).y"');
SELECT shown('"Ünï"."child (x).y"', '"a.b"');
SELECT shown('"Ünï"."child (x).y"', '"c""d, e"');
SELECT shown('"Ünï"."child (x).y"', '"the Other"');
SELECT shown('"Ünï"."child (x).y"', '"we""ird.tab le"');
SELECT shown('"Ünï"."child (x).y"', '"we""ird.tab le_id"');
SELECT shown('"Ünï"."child (x).y"', 'a.b');
SELECT shown('"Ünï"."child (x).y"', '"; DROP TABLE users; --"');
SELECT try($$SECURITY LABEL FOR effaced ON TABLE "Ünï"."child (x).y" IS '{"hops": [{"source_columns": ["the Other"], "target_table": "\"Ünï\".\"we\"\"ird.tab le\"", "target_columns": ["sel\"ect"]}]}'$$);
SELECT relation, hops FROM effaced_subject_graph();
SELECT effaced_graph_dot();
INSERT INTO "Ünï"."we""ird.tab le" VALUES (1, 'x'), (2, 'y');
INSERT INTO "Ünï"."child (x).y" VALUES (2, 1, 'x'), (1, 2, 'y');
SELECT relation, strategy, columns FROM effaced_plan('1');
SELECT effaced_erase('1');
TABLE "Ünï"."we""ird.tab le";
TABLE "Ünï"."child (x).y";
