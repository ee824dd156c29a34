-- Run once, when the volume is new: the project's own database and user, who is not PostgreSQL's superuser.
\set password `cat /run/secrets/database_password`
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE app OWNER app;
