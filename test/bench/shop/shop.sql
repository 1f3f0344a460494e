-- The bench shop whole, in a new database: -v users=20000.
\set QUIET on
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE EXTENSION effaced;
\ir schema.sql
\ir labels.sql
\ir reference.sql
\ir ../lib/timing.sql
\ir data.sql
