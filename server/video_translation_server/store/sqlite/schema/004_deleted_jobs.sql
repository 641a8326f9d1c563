-- A deleted job is shown no more; its row stays for the events and deliveries that refer to it.
ALTER TABLE jobs ADD COLUMN deleted_at REAL;
DROP INDEX jobs_of_workspace;
CREATE INDEX jobs_of_workspace ON jobs (workspace_id, n) WHERE deleted_at IS NULL;
