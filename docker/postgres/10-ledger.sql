-- Prefect's database is made by the image. The ledger has one of its own, with an owner of its own.
\getenv ledger_password LEDGER_PASSWORD
CREATE ROLE shotchain LOGIN PASSWORD :'ledger_password';
CREATE DATABASE shotchain OWNER shotchain;
