-- Jobs that stand in line: `rank` is the place, `seconds` how long the next run will last; both NULL for all others.
-- `lane` is NULL where nothing limits how many run at once.
ALTER TABLE jobs ADD COLUMN rank REAL;
ALTER TABLE jobs ADD COLUMN lane INTEGER;
ALTER TABLE jobs ADD COLUMN seconds REAL;
CREATE INDEX jobs_in_line ON jobs (lane, rank, n, seconds) WHERE rank IS NOT NULL;
CREATE INDEX jobs_at_work ON jobs (lane) WHERE lane IS NOT NULL AND status = 'running';
