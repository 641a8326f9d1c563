-- `mark` tells whose request under way a row is; it is NULL once the answer is kept. Old rows are found by their age.
ALTER TABLE idempotency ADD COLUMN mark INTEGER;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
