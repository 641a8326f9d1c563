-- How long an uploaded file plays; NULL where that is not known.
ALTER TABLE assets ADD COLUMN seconds REAL;

-- Since when a completed job has files. Their URLs are signed and expire: they are made when they are shown.
ALTER TABLE jobs ADD COLUMN files_at REAL;
UPDATE jobs SET files_at = updated_at WHERE video_url IS NOT NULL;
ALTER TABLE jobs DROP COLUMN video_url;

-- Jobs whose video is still to be fetched and looked at: until then nothing moves them.
ALTER TABLE jobs ADD COLUMN in_preflight INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_in_preflight ON jobs (n) WHERE in_preflight = 1;

-- One row: what signs the URLs of files. Every server on this store uses the same.
CREATE TABLE file_key (
  n INTEGER PRIMARY KEY CHECK (n = 1),
  key BLOB NOT NULL
) STRICT;
