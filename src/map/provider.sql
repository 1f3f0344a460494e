-- Labels: loaded just in time, checked in comments too.

CREATE FUNCTION @extschema@.effaced_load_provider() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_load_provider() IS
    'Event trigger function: loads the label provider before a SECURITY LABEL runs';

CREATE FUNCTION @extschema@.effaced_check_ddl() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_check_ddl() IS
    'Event trigger function: checks labels in comments, and warns of labels that a RENAME or DROP has broken';

CREATE EVENT TRIGGER effaced_load_provider ON ddl_command_start
    WHEN TAG IN ('SECURITY LABEL')
    EXECUTE FUNCTION @extschema@.effaced_load_provider();
ALTER EVENT TRIGGER effaced_load_provider ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER effaced_load_provider IS
    'Loads the label provider of effaced before a SECURITY LABEL runs';

CREATE EVENT TRIGGER effaced_check_ddl ON ddl_command_end
    WHEN TAG IN ('COMMENT', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'ALTER TABLE',
                 'ALTER FOREIGN TABLE', 'DROP TABLE', 'DROP FOREIGN TABLE', 'ALTER SCHEMA', 'DROP SCHEMA',
                 'ALTER TYPE', 'DROP TYPE', 'ALTER DOMAIN', 'DROP DOMAIN', 'ALTER EXTENSION',
                 'DROP EXTENSION', 'DROP OWNED')
    EXECUTE FUNCTION @extschema@.effaced_check_ddl();
ALTER EVENT TRIGGER effaced_check_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER effaced_check_ddl IS
    'Checks labels of effaced in comments, and warns of labels that DDL has broken';

CREATE FUNCTION @extschema@.effaced_remove_labels() RETURNS int
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_remove_labels() IS
    'Removes every label, in comments too, and returns how many there were; call it before DROP EXTENSION effaced';
