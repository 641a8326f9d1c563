-- `runs` counts how often a job has begun to run: one whose run ends badly may do so again.
ALTER TABLE jobs ADD COLUMN runs INTEGER NOT NULL DEFAULT 0;
