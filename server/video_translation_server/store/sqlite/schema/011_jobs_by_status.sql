-- Jobs are listed and counted by status, of one workspace or of all; this also counts those that have not ended.
CREATE INDEX jobs_by_status ON jobs (workspace_id, status, deleted_at, n);
DROP INDEX jobs_going_on;
