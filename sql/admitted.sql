-- A label counts where the owner of its table is trusted with the database anyway, or
-- was admitted.  Any other label is stored with a warning and is as if it were not there.
CREATE EXTENSION effaced;
CREATE ROLE regress_mal;
CREATE ROLE regress_app;
CREATE ROLE regress_team;
GRANT CREATE ON SCHEMA public TO regress_app, regress_team;
CREATE SCHEMA mal AUTHORIZATION regress_mal;
CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE);
INSERT INTO customer VALUES (1, 'ada@x'), (2, 'ben@x'), (3, 'cleo@x');
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
CREATE FUNCTION map() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(t.value ->> 'name', ', '), 'nothing')
	FROM jsonb_array_elements(effaced_manifest() -> 'tables') AS t
$$;

-- Somebody without any privilege joins the map: no trigger of theirs runs, and they are told nothing.
SET ROLE regress_mal;
CREATE TABLE mal.bait (cid int PRIMARY KEY, v text);
INSERT INTO mal.bait SELECT i, 'x' FROM generate_series(1, 10) AS i;
SECURITY LABEL FOR effaced ON TABLE mal.bait IS '{"hops": [{"source_columns": ["cid"], "target_table": "public.customer", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN mal.bait.v IS '{"category": "contact"}';
CREATE TABLE mal.dict (guess text PRIMARY KEY);
INSERT INTO mal.dict VALUES ('ada@x'), ('zoe@x'), ('ben@x');
COMMENT ON TABLE mal.dict IS 'words @effaced {"owned": true, "hops": [{"source_columns": ["guess"], "target_table": "public.customer", "target_columns": ["email"]}]}';
COMMENT ON COLUMN mal.dict.guess IS '@effaced {"category": "contact"}';
CREATE FUNCTION mal.t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run by %', current_user; END $$;
CREATE TRIGGER t BEFORE DELETE ON mal.bait FOR EACH ROW EXECUTE FUNCTION mal.t();
CREATE TRIGGER t BEFORE DELETE ON mal.dict FOR EACH ROW EXECUTE FUNCTION mal.t();
-- nor do they block anybody: by a label that leads nowhere, a kind of their own, or one that clashes
CREATE TABLE mal.block (id int PRIMARY KEY, v text);
SECURITY LABEL FOR effaced ON COLUMN mal.block.v IS '{"category": "contact"}';
CREATE TABLE mal.person (id int PRIMARY KEY, v text);
SECURITY LABEL FOR effaced ON TABLE mal.person IS '{"path": "", "subject": "customer"}';
CREATE VIEW mal.seen AS SELECT * FROM mal.person;
COMMENT ON VIEW mal.seen IS '@effaced {"path": ""}';
RESET ROLE;
SELECT map();
SELECT effaced_erase('1');
SELECT effaced_verify('1');
SELECT effaced_erase_many('{1}') -> 'not_admitted' AS not_admitted;
SELECT effaced_rectify('2', '[{"category": "contact", "value": "b@x"}]');
SELECT e -> 'records' -> 0 ->> 'source' AS source, e -> 'not_admitted' AS not_admitted FROM effaced_export('2') AS e;
SELECT count(*) FROM effaced_sweep();
SELECT effaced_restrict('2') IS NOT NULL AS restricted;
SELECT count(*) FROM mal.bait;
SELECT count(*) FROM mal.dict;
SELECT relation FROM effaced_subject_graph();
SELECT severity, relation, message, hint FROM effaced_lint() WHERE code = 'label_not_admitted';
SELECT count(*) FROM effaced_lint() WHERE code <> 'label_not_admitted' AND relation::text ~ '^mal\.' AND code <> 'personal_name';
-- whoever names such a table is told why it is none
SELECT effaced_erase('1', subject => 'mal.person');
SELECT effaced_manifest_table('mal.bait');

-- Only who may: the owner of the extension, or whom EXECUTE was granted.
SET ROLE regress_mal;
SELECT effaced_admit_labels('regress_mal');
SELECT effaced_expel_labels('regress_mal');
RESET ROLE;
SELECT effaced_admit_labels(NULL);
SELECT effaced_admit_labels('regress_nobody');
SELECT effaced_admit_labels(0);

-- Admitted, the labels count, and the owner's code runs in the calls of others.
SELECT effaced_admit_labels('regress_app');
SELECT effaced_admit_labels('regress_app');
SELECT owner, admitted_by = session_user AS by_me FROM effaced_admitted;
SET ROLE regress_app;
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, email text);
SECURITY LABEL FOR effaced ON TABLE orders IS '{"owned": true, "hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN orders.email IS '{"category": "contact"}';
INSERT INTO orders VALUES (1, 1, 'ada@x'), (2, 2, 'ben@x');
RESET ROLE;
SELECT map();
SELECT effaced_erase('1') -> 'deleted' AS deleted;
SELECT effaced_expel_labels('regress_app');
SELECT map();
SELECT effaced_expel_labels('regress_app');
SELECT event_type, subject, payload FROM effaced_audit_events WHERE event_type IN ('labels_admitted', 'labels_expelled') ORDER BY seq;

-- What counts follows the rights of the owner: superuser, member of the owner of the database, name.
ALTER ROLE regress_app SUPERUSER;
SELECT map();
ALTER ROLE regress_app NOSUPERUSER;
SELECT map();
SELECT effaced_admit_labels('regress_app');
SELECT map();
ALTER ROLE regress_app RENAME TO regress_application;
SELECT map();
SELECT owner FROM effaced_admitted;
ALTER ROLE regress_application RENAME TO regress_app;
SELECT map();
SELECT effaced_expel_labels('regress_app');
CREATE ROLE regress_dba;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO regress_dba', current_database()); END $$;
SELECT map();
GRANT regress_dba TO regress_team;
GRANT regress_team TO regress_app;
SELECT map();
ALTER ROLE regress_app NOINHERIT;
-- from PostgreSQL 16 on, a membership keeps what it was granted with
REVOKE regress_team FROM regress_app;
SELECT map();
ALTER ROLE regress_app INHERIT;
GRANT regress_team TO regress_app;
SELECT map();
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), session_user); END $$;
SELECT map();

-- An owner change that stops labels from counting warns, and so does no other.
ALTER TABLE orders OWNER TO regress_team;
ALTER TABLE orders OWNER TO CURRENT_USER;
SELECT map();
ALTER TABLE orders OWNER TO regress_mal;
SELECT map();
CREATE TABLE plain (id int);
ALTER TABLE plain OWNER TO regress_mal;

-- Nothing is verified while a table that nobody looks into references the subject's rows, even by way of another.
GRANT REFERENCES ON customer TO regress_team;
SELECT effaced_verify('3') -> 'verified' AS verified;
SELECT effaced_erase('3') -> 'deleted' AS deleted;
SELECT effaced_verify('3') -> 'verified' AS verified;
SET ROLE regress_team;
CREATE TABLE basket (id int PRIMARY KEY, customer_id int REFERENCES customer);
CREATE TABLE item (id int PRIMARY KEY, basket_id int REFERENCES basket, gift_for text);
SECURITY LABEL FOR effaced ON COLUMN item.gift_for IS '{"category": "identity"}';
RESET ROLE;
SELECT effaced_verify('3');
SELECT effaced_admit_labels('regress_team');
SELECT effaced_verify('3') -> 'verified' AS verified;

-- A transaction that is rolled back admits nobody.
DROP TABLE mal.person CASCADE;
BEGIN;
SELECT effaced_admit_labels('regress_mal');
SELECT map() ~ 'mal' AS theirs;
ROLLBACK;
SELECT map() ~ 'mal' AS theirs;

-- A row of the table that a restore writes counts at once; the view is not written to.
INSERT INTO effaced.effaced_admitted (owner) VALUES ('regress_mal');
SELECT map() ~ 'mal' AS theirs;
DELETE FROM effaced.effaced_admitted WHERE owner = 'regress_mal';
SELECT map() ~ 'mal' AS theirs;
DELETE FROM effaced_admitted;

DROP SCHEMA mal CASCADE;
DROP TABLE orders, item, basket, plain;
DROP OWNED BY regress_mal, regress_app, regress_team, regress_dba;
DROP ROLE regress_mal, regress_app, regress_team, regress_dba;
