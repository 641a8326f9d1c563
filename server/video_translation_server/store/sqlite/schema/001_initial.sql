-- Times are Unix seconds. Rows refer to each other by integer `n`, which the API never shows.

-- `secret` signs the deliveries to callback URLs; it is made when it is first needed.
CREATE TABLE workspaces (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  secret TEXT,
  created_at REAL NOT NULL
) STRICT;
INSERT INTO workspaces (id, name, created_at) VALUES ('ws_default', 'default', unixepoch('now', 'subsec'));

-- A key is kept as its SHA-256 only.
CREATE TABLE keys (
  hash BLOB PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  label TEXT,
  created_at REAL NOT NULL,
  revoked_at REAL
) STRICT, WITHOUT ROWID;

-- `response` is NULL while the first request is in flight; its lease frees the key after a crash.
CREATE TABLE idempotency (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  created_at REAL NOT NULL,
  leased_until REAL,
  status INTEGER,
  response BLOB,
  PRIMARY KEY (workspace_id, scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  status TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  version INTEGER NOT NULL,
  output_language TEXT NOT NULL,
  request TEXT NOT NULL,
  plan TEXT NOT NULL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  due_at REAL,
  progress INTEGER NOT NULL,
  video_url TEXT,
  failure_message TEXT,
  cancelled_at REAL
) STRICT;
CREATE INDEX jobs_of_workspace ON jobs (workspace_id, n);
CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL;

-- The log. AUTOINCREMENT: a position is never used twice, even after the newest rows are pruned.
-- `job` is NULL for a notice about an endpoint or a delivery.
CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  type TEXT NOT NULL,
  created_at REAL NOT NULL,
  body BLOB NOT NULL,
  job INTEGER REFERENCES jobs (n),
  sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_workspace ON events (workspace_id, position);
CREATE INDEX events_of_job ON events (job, position) WHERE job IS NOT NULL;

-- Scheduling: `failing_since` and `strain` tell how it goes, `paused_until` holds everything back, `next_send_at`
-- spaces out what a rate limit allows. Up to the log position `forgotten`, deliveries may have been pruned: that one is
-- missing does not mean that nothing was sent.
CREATE TABLE endpoints (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  url TEXT NOT NULL,
  created_at REAL NOT NULL,
  secret TEXT NOT NULL,
  retired TEXT NOT NULL,
  private_key TEXT,
  events TEXT,
  entity_id TEXT,
  description TEXT,
  headers TEXT NOT NULL,
  ordering TEXT NOT NULL,
  max_in_flight INTEGER,
  rate_limit REAL,
  is_callback INTEGER NOT NULL,
  ttl_seconds REAL,
  expires_at REAL,
  status TEXT NOT NULL,
  disabled_reason TEXT,
  failing_since REAL,
  strain INTEGER NOT NULL DEFAULT 0,
  paused_until REAL,
  next_send_at REAL,
  forgotten INTEGER NOT NULL DEFAULT 0,
  deleted_at REAL
) STRICT;
-- A callback is found by its job (`entity_id`), so that thousands of them do not weigh on every event.
CREATE INDEX endpoints_listed ON endpoints (workspace_id, n) WHERE deleted_at IS NULL AND is_callback = 0;
CREATE INDEX endpoints_of_job ON endpoints (entity_id) WHERE deleted_at IS NULL AND is_callback = 1;
CREATE INDEX endpoints_expiring ON endpoints (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- The table is the queue (decision 0004). An open row has settled_at NULL; of one lane (endpoint, job, lane) only the
-- oldest open row is 'due', the others are 'waiting' and have no due_at. A claimed row has a claim_id.
-- Lane 0 is for first deliveries, lane 1 for those that were taken up again: the two never wait for each other.
-- `attempts` counts all of them, `tries` those of the present run of the retry schedule, `hurries` how often an
-- endpoint's recovery brought its retry forward.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event INTEGER NOT NULL REFERENCES events (position),
  endpoint INTEGER NOT NULL REFERENCES endpoints (n),
  job INTEGER REFERENCES jobs (n),
  lane INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,
  hurries INTEGER NOT NULL DEFAULT 0,
  due_at REAL,
  claim_id INTEGER,
  leased_until REAL,
  first_attempt_at REAL,
  settled_at REAL
) STRICT;
CREATE INDEX deliveries_open ON deliveries (endpoint, job, lane, event) WHERE settled_at IS NULL;
CREATE INDEX deliveries_ready ON deliveries (endpoint, due_at, id) WHERE due_at IS NOT NULL AND claim_id IS NULL;
CREATE INDEX deliveries_claimed ON deliveries (endpoint) WHERE claim_id IS NOT NULL;
CREATE INDEX deliveries_struggling ON deliveries (job) WHERE settled_at IS NULL AND tries >= 3;
CREATE INDEX deliveries_of_event ON deliveries (event);

CREATE TABLE attempts (
  delivery INTEGER NOT NULL REFERENCES deliveries (id),
  number INTEGER NOT NULL,
  started_at REAL NOT NULL,
  duration REAL NOT NULL,
  kind TEXT NOT NULL,
  status INTEGER,
  detail TEXT NOT NULL,
  retry_after TEXT,
  body BLOB NOT NULL,
  address TEXT,
  PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE sweeps (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  endpoint INTEGER NOT NULL REFERENCES endpoints (n),
  kind TEXT NOT NULL,
  since REAL NOT NULL,
  position INTEGER NOT NULL,
  until INTEGER NOT NULL,
  found INTEGER NOT NULL,
  created_at REAL NOT NULL,
  finished_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX sweeps_running ON sweeps (id) WHERE finished_at IS NULL;
