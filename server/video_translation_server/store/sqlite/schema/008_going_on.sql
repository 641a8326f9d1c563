-- How many jobs of a workspace have not ended is counted where that is limited.
CREATE INDEX jobs_going_on ON jobs (workspace_id) WHERE status IN ('pending', 'running');
