-- Version 3: what requests to models cost, and a row for each request where
-- there was one for each call of a role.

ALTER TABLE usage ADD COLUMN cost_usd REAL;
