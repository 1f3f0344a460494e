-- Partitioned tables and inheritance: labels of the parent count for all rows.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text, joined date);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "surrogate": "''?''"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');

--
-- Two levels of partitions, of different shapes: columns were dropped before the
-- labelled ones, in the parent and in one partition, and a table was attached.
--
CREATE TABLE event (gone int, at date, person_id int REFERENCES person, gone_too text, place text, amount numeric, note text) PARTITION BY RANGE (at);
ALTER TABLE event DROP gone, DROP gone_too;
CREATE TABLE event_2020 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE event_2021 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY LIST (place);
CREATE TABLE event_2021_wien PARTITION OF event_2021 FOR VALUES IN ('Wien');
CREATE TABLE event_2021_other PARTITION OF event_2021 DEFAULT;
CREATE TABLE event_2022 (note text, amount numeric, dropped int, place text, person_id int REFERENCES person, at date);
ALTER TABLE event_2022 DROP dropped;
ALTER TABLE event ATTACH PARTITION event_2022 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE TABLE event_default PARTITION OF event DEFAULT;

SECURITY LABEL FOR effaced ON TABLE event IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN event.note IS '{"category": "communication", "erasure": "anonymize", "surrogate": "''note of '' || at || ''/'' || person_id"}';
SECURITY LABEL FOR effaced ON COLUMN event.amount IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "anchor": "at"}}';
-- A label on a partition contradicts that of the parent.
SECURITY LABEL FOR effaced ON COLUMN event_2020.note IS '{"category": "communication"}';
\echo :LAST_ERROR_SQLSTATE

INSERT INTO event SELECT at, 1 + i % 2, CASE i % 3 WHEN 0 THEN 'Wien' WHEN 1 THEN 'Graz' END, i, 'note ' || i
  FROM unnest(ARRAY['2019-05-05', '2020-05-05', '2021-05-05', '2021-06-06', '2022-05-05', '2022-06-06']::date[]) at, generate_series(1, 2) i;
CREATE TABLE before AS SELECT tableoid::regclass AS part, * FROM event WHERE person_id = 2;
-- The foreign keys of the partitions are those of the parent, so the plan does
-- not grow with them.
SELECT step, relation, strategy, columns FROM effaced_plan('1');
SELECT effaced_erase('1') - 'subject_id' - 'subject' AS result;
SELECT tableoid::regclass AS part, note, amount FROM event WHERE person_id = 1 ORDER BY at, 2;
SELECT count(*), count(*) FILTER (WHERE b.part IS NULL) AS changed
  FROM (SELECT tableoid::regclass AS part, * FROM event WHERE person_id = 2) e LEFT JOIN before b USING (part, at, person_id, amount, note);
SELECT effaced_verify('1') AS verdict;

-- A partition that is detached is another table, and one that comes is seen.
ALTER TABLE event DETACH PARTITION event_2020;
UPDATE event_2020 SET note = 'detached';
CREATE TABLE event_2023 PARTITION OF event FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
INSERT INTO event VALUES ('2023-05-05', 1, 'Linz', 7, 'new');
SELECT effaced_erase('1') -> 'anonymized' AS anonymized;
SELECT note FROM event_2020 GROUP BY note;
SELECT note FROM event_2023;
ALTER TABLE event ATTACH PARTITION event_2020 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
SELECT effaced_erase('1') -> 'anonymized' AS anonymized;
SELECT person_id, note FROM event_2020 ORDER BY 1;
DROP TABLE event;

--
-- Partitions that go, referenced by a partitioned table and by a plain one.
--
CREATE TABLE parcel (id int, person_id int NOT NULL REFERENCES person, receiver text, PRIMARY KEY (id, person_id)) PARTITION BY HASH (person_id);
CREATE TABLE parcel_0 PARTITION OF parcel FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parcel_1 PARTITION OF parcel FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE scan (id int PRIMARY KEY, parcel_id int, person_id int, at date, FOREIGN KEY (parcel_id, person_id) REFERENCES parcel);
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN parcel.receiver IS '{"category": "identity"}';
INSERT INTO parcel SELECT i, 1 + i % 2, 'receiver ' || i FROM generate_series(1, 8) i;
INSERT INTO scan SELECT i, 8 - i, 1 + i % 2, '2020-01-01' FROM generate_series(4, 7) i;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE scan IS '{"hops": [{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN scan.at IS '{"category": "behavioral", "surrogate": "NULL"}';
SELECT step, relation, strategy, columns FROM effaced_plan('1');
SELECT effaced_erase('1') - 'subject_id' - 'subject' AS result;
SELECT count(*), count(*) FILTER (WHERE person_id = 1) AS of_1 FROM parcel;
SELECT * FROM scan ORDER BY id;
DROP TABLE scan, parcel;

--
-- A partition may have a foreign key of its own into rows that go.
--
CREATE TABLE basket (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, wish text);
SECURITY LABEL FOR effaced ON TABLE basket IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN basket.wish IS '{"category": "behavioral"}';
CREATE TABLE sale (dropped int, id int, at date, amount int, basket_id int, person_id int REFERENCES person, memo text) PARTITION BY RANGE (at);
ALTER TABLE sale DROP dropped;
CREATE TABLE sale_2020 PARTITION OF sale FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE sale_2021 (basket_id int CONSTRAINT own REFERENCES basket, x int, y int, memo text, person_id int, amount int, at date, id int);
ALTER TABLE sale_2021 DROP x, DROP y;
ALTER TABLE sale ATTACH PARTITION sale_2021 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
SECURITY LABEL FOR effaced ON TABLE sale IS '{"path": "person", "release": true}';
SECURITY LABEL FOR effaced ON COLUMN sale.memo IS '{"category": "communication", "surrogate": "''-''"}';
SECURITY LABEL FOR effaced ON COLUMN sale.amount IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
INSERT INTO basket SELECT i, 1 + i % 2, 'wish ' || i FROM generate_series(1, 4) i;
INSERT INTO sale SELECT 10 * y + i, make_date(2019 + y, 1, 1), 100 * i, i, 1 + i % 2, 'memo ' || i FROM generate_series(1, 2) y, generate_series(1, 4) i;
SELECT step, relation, strategy, columns FROM effaced_plan('1');
BEGIN;
SELECT effaced_erase('1') - 'subject_id' - 'subject' AS result;
SELECT tableoid::regclass AS part, * FROM sale ORDER BY id;
ROLLBACK;
-- Retained in the parent is retained in the partition.
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN sale.basket_id IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
SECURITY LABEL FOR effaced ON COLUMN sale.amount IS NULL;
SELECT effaced_erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- What only a partition forbids is found with the plan: its CHECK, its unique
-- index, its NOT NULL, its foreign key.
BEGIN;
SECURITY LABEL FOR effaced ON COLUMN sale.memo IS '{"category": "communication"}';
SAVEPOINT s;
ALTER TABLE sale_2021 ADD CONSTRAINT memo_check CHECK (memo LIKE 'memo%');
SELECT step, relation, strategy FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
ALTER TABLE sale ALTER memo TYPE varchar(10);
CREATE UNIQUE INDEX memo_key ON sale_2021 (memo);
SELECT step, relation, strategy FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON COLUMN sale.person_id IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN sale.memo IS NULL;
ALTER TABLE sale ADD PRIMARY KEY (id, at);
SAVEPOINT s2;
SELECT step, relation, strategy, columns FROM effaced_plan('1', tables => '{sale}');
ALTER TABLE sale_2021 ALTER person_id SET NOT NULL;
SELECT step, relation, strategy FROM effaced_plan('1', tables => '{sale}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s2;
SECURITY LABEL FOR effaced ON COLUMN sale.basket_id IS '{"category": "behavioral", "erasure": "anonymize"}';
SELECT effaced_erase('1', tables => '{sale}') -> 'anonymized' AS anonymized;
SELECT tableoid::regclass AS part, id, basket_id, person_id FROM sale ORDER BY id;
ROLLBACK;
DROP TABLE sale, basket;

-- A partition key cannot be replaced by a value that has no partition: the call
-- fails as a whole.
CREATE TABLE meter (id int, at date, person_id int REFERENCES person, value int) PARTITION BY RANGE (at);
CREATE TABLE meter_2020 PARTITION OF meter FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
SECURITY LABEL FOR effaced ON TABLE meter IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN meter.at IS '{"category": "behavioral", "erasure": "anonymize"}';
INSERT INTO meter VALUES (1, '2020-05-05', 1, 7);
SELECT effaced_erase('1', tables => '{meter}');
\echo :LAST_ERROR_SQLSTATE
-- With one that has, the row moves.
CREATE TABLE meter_unknown PARTITION OF meter FOR VALUES FROM ('1970-01-01') TO ('1970-01-02');
SELECT effaced_erase('1', tables => '{meter}') -> 'anonymized' AS anonymized;
SELECT tableoid::regclass AS part, * FROM meter;
DROP TABLE meter;

--
-- A partitioned subject table.
--
CREATE TABLE client (id int, region text, name text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE client_eu PARTITION OF client FOR VALUES IN ('eu');
CREATE TABLE client_us PARTITION OF client FOR VALUES IN ('us');
CREATE TABLE mail (id int PRIMARY KEY, region text, client_id int, body text, FOREIGN KEY (region, client_id) REFERENCES client ON DELETE CASCADE);
SECURITY LABEL FOR effaced ON TABLE client IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN client.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE mail IS '{"path": "client"}';
SECURITY LABEL FOR effaced ON COLUMN mail.body IS '{"category": "communication"}';
INSERT INTO client VALUES (1, 'eu', 'Ada'), (1, 'us', 'Ben');
INSERT INTO mail VALUES (1, 'eu', 1, 'hi'), (2, 'us', 1, 'hello');
SELECT effaced_erase(ARRAY['eu', '1'], subject => 'client') - 'subject' AS result;
TABLE client;
TABLE mail;
DROP TABLE mail, client;

--
-- Inheritance: a statement on the parent reaches the children, whose keys are
-- their own. Two rows of the family may have the same key.
--
CREATE TABLE document (id int PRIMARY KEY, person_id int, title text, pages int);
CREATE TABLE contract (signed date, PRIMARY KEY (id)) INHERITS (document);
SECURITY LABEL FOR effaced ON TABLE document IS
	'{"hops": [{"source_columns": ["person_id"], "target_table": "person", "target_columns": ["id"]}], "release": true}';
SECURITY LABEL FOR effaced ON COLUMN document.title IS '{"category": "communication"}';
INSERT INTO document VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO contract VALUES (1, 2, 'c', 3, '2020-01-01'), (2, 1, 'd', 4, '2020-01-02');
BEGIN;
SELECT effaced_erase('1', tables => '{document}') - 'subject_id' - 'subject' AS result;
SELECT tableoid::regclass, id, person_id, regexp_replace(title, '[0-9a-f]{32}', '<token>') AS title, pages FROM document ORDER BY 1, 2;
SELECT signed FROM contract ORDER BY 1;
ROLLBACK;
-- Where the rows have to be found first there is no key to find them by: the
-- call fails rather than reach the other's rows.
SECURITY LABEL FOR effaced ON COLUMN document.person_id IS '{"category": "identity", "erasure": "anonymize", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN document.pages IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "statistics"}}';
SELECT effaced_erase('1', tables => '{document}');
\echo :LAST_ERROR_SQLSTATE
SELECT tableoid::regclass, * FROM document ORDER BY 1, 2;
-- Columns that only a child has are not labelled: then its rows survive as those
-- of any table with other columns do, and none is deleted unseen.
SECURITY LABEL FOR effaced ON COLUMN document.person_id IS NULL;
SECURITY LABEL FOR effaced ON COLUMN document.pages IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON COLUMN document.person_id IS '{"category": "identity"}';
SELECT step, relation, strategy, columns FROM effaced_plan('1', tables => '{document}');
DROP TABLE document CASCADE;
