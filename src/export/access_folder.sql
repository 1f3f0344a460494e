-- An access request as files on the server.

CREATE FUNCTION @extschema@.effaced_write_access_folder(subject_id text, app_name text, subject regclass DEFAULT NULL)
RETURNS TABLE (path text, bytes bigint)
LANGUAGE c AS 'MODULE_PATHNAME' ROWS 10;
COMMENT ON FUNCTION @extschema@.effaced_write_access_folder(text, text, regclass) IS
    'Writes everything held on one subject (GDPR Art. 15) into a new folder under effaced.export_directory: JSON, HTML, and a CSV file per saved question';

CREATE FUNCTION @extschema@.effaced_write_access_folder(subject_id anynonarray, app_name text, subject regclass DEFAULT NULL)
RETURNS TABLE (path text, bytes bigint)
LANGUAGE c AS 'MODULE_PATHNAME' ROWS 10;
COMMENT ON FUNCTION @extschema@.effaced_write_access_folder(anynonarray, text, regclass) IS
    'The same for an identifier of another type than text';
