-- Code that catches errors, or writes, while a plan is made does not keep a call from ending.
\pset format unaligned
\pset tuples_only on
CREATE EXTENSION effaced;
CREATE FUNCTION catches(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		RAISE 'x';
	EXCEPTION WHEN OTHERS THEN
	END;
	RETURN true;
END $$;
CREATE DOMAIN calm AS text CHECK (catches(VALUE));
CREATE TABLE customer (id int PRIMARY KEY, name calm, note text);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''gone''"}';
INSERT INTO customer VALUES (1, 'Ada', 'n'), (2, 'Ben', 'n');
SET statement_timeout = '120s';
SELECT effaced_erase('1') -> 'anonymized';
SELECT effaced_rectify('2', '[{"category": "identity", "value": "Bo"}]') -> 'rectified';
-- one that writes and takes it back
CREATE TABLE seen (what text);
CREATE OR REPLACE FUNCTION catches(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO public.seen VALUES ('x');
		RAISE 'x';
	EXCEPTION WHEN OTHERS THEN
	END;
	RETURN true;
END $$;
DO $$ BEGIN
	PERFORM effaced_erase('2');
	RAISE NOTICE 'it ended';
EXCEPTION WHEN SQLSTATE 'ZE005' THEN
	RAISE NOTICE 'it ended';
END $$;
