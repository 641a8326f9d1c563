-- A batch has ended when none of its jobs goes on; then `finished_at` is set, once, and its one event appended.
CREATE TABLE batches (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  title TEXT,
  created_at REAL NOT NULL,
  finished_at REAL
) STRICT;
-- `item` is the job's place in its batch, from 0.
ALTER TABLE jobs ADD COLUMN batch INTEGER REFERENCES batches (n);
ALTER TABLE jobs ADD COLUMN item INTEGER;
CREATE INDEX jobs_of_batch ON jobs (batch, item) WHERE batch IS NOT NULL;
CREATE INDEX jobs_going_on_in_batch ON jobs (batch) WHERE batch IS NOT NULL AND status IN ('pending', 'running');
ALTER TABLE events ADD COLUMN batch INTEGER REFERENCES batches (n);
