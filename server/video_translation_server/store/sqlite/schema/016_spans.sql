-- Indexes for readers that cost the writer little (decision 0039): by (span, owner), and of what is rare only.
DROP INDEX deliveries_of_endpoint;
CREATE INDEX deliveries_in_spans ON deliveries (id >> 12, endpoint);
DROP INDEX events_of_workspace;
CREATE INDEX events_in_spans ON events (position >> 12, workspace_id);
DROP INDEX events_by_type;
CREATE INDEX events_of_rare_types ON events (workspace_id, type, position)
  WHERE type NOT IN ('video_translate.pending', 'video_translate.running', 'video_translate.success');
-- With `deleted_at`, which is NULL in all of them, so that counting reads the index alone.
DROP INDEX jobs_of_workspace;
CREATE INDEX jobs_of_workspace ON jobs (workspace_id, deleted_at, n) WHERE deleted_at IS NULL;
DROP INDEX jobs_by_status;
CREATE INDEX jobs_going_on ON jobs (workspace_id, status, deleted_at, n)
  WHERE status IN ('pending', 'running') AND deleted_at IS NULL;
CREATE INDEX jobs_failed ON jobs (workspace_id, status, deleted_at, n) WHERE status = 'failed' AND deleted_at IS NULL;
CREATE INDEX jobs_completed ON jobs (n >> 12, workspace_id) WHERE status = 'completed' AND deleted_at IS NULL;
