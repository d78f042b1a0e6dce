#!/bin/sh
# PostgreSQL's image runs this once, when it makes the database. The server's role owns its database and has no other rights. Nobody can
# connect as the superuser, except inside of the container.
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat /run/secrets/database_password`
CREATE ROLE watchword LOGIN PASSWORD :'password';
ALTER DATABASE watchword OWNER TO watchword;
REVOKE ALL ON DATABASE watchword FROM PUBLIC;
ALTER ROLE :"USER" PASSWORD NULL;
SQL
