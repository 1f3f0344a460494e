-- Without Citus: what asks for it is refused, and nothing else is different. With
-- Citus see test/t/081_citus.t.
CREATE EXTENSION effaced;
CREATE TABLE person (id int PRIMARY KEY, name text);
INSERT INTO person VALUES (1, 'Ada');
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';

SELECT * FROM effaced_enable_citus();
\echo :LAST_ERROR_SQLSTATE
SELECT to_regclass('effaced_citus_commit');

-- Tables named like those of Citus are nobody's but their owner's.
CREATE TABLE pg_dist_local_group (groupid int);
INSERT INTO pg_dist_local_group VALUES (1);
CREATE TABLE pg_dist_partition (logicalrelid regclass, partmethod "char", colocationid int, repmodel "char");
CREATE TABLE effaced_citus_commit (nothing boolean);
INSERT INTO effaced_citus_commit VALUES (true);
INSERT INTO pg_dist_partition VALUES ('person', 'h', 1, 's'), ('effaced_citus_commit', 'n', 0, 's');
SELECT effaced_erase(1) -> 'deleted' AS deleted;
SELECT count(*) FROM effaced_citus_commit;
SELECT effaced_enable_citus();

-- Text joined to a value of another type is written with immutable functions, which
-- distributed tables take, and gives the same.
CREATE TABLE member (id int PRIMARY KEY, joined date NOT NULL, name text, code char(6));
INSERT INTO member VALUES (1, '2024-02-03', 'Ada', 'x');
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.name IS '{"category": "identity", "surrogate": "''Member '' || id || code || '' of '' || joined || (2 || ''.'')"}';
SELECT statement FROM effaced_plan(1, 'member');
SELECT effaced_erase(1, subject => 'member') -> 'anonymized' AS anonymized;
SET DateStyle = 'ISO';
SELECT name, name = 'Member ' || id || code || ' of ' || joined || (2 || '.') AS same FROM member;
SELECT effaced_verify(1, 'member') -> 'verified' AS verified;
