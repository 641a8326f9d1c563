-- Times are Unix seconds. Rows refer to each other by integer `n`, which the API never shows. No foreign keys: each
-- would cost a probe per row, and what they would refuse is never written.

CREATE TABLE workspaces (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  name text NOT NULL,
  secret text,
  created_at double precision NOT NULL
);
INSERT INTO workspaces (id, name, created_at)
VALUES ('ws_default', 'default', extract(epoch FROM clock_timestamp()));

-- A key is kept as its SHA-256 only.
CREATE TABLE keys (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  hash bytea NOT NULL UNIQUE,
  workspace_id text NOT NULL,
  label text,
  created_at double precision NOT NULL,
  revoked_at double precision
);
CREATE INDEX keys_of_workspace ON keys (workspace_id, n);

-- `mark` tells whose request under way a row is; it is NULL once the answer is kept.
CREATE TABLE idempotency (
  workspace_id text NOT NULL,
  scope text NOT NULL,
  key text NOT NULL,
  created_at double precision NOT NULL,
  leased_until double precision,
  status integer,
  response bytea,
  mark bigint,
  PRIMARY KEY (workspace_id, scope, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
CREATE INDEX idempotency_under_way ON idempotency (mark) WHERE mark IS NOT NULL;

-- A batch has ended when none of its jobs goes on; then `finished_at` is set, once, and its one event appended.
CREATE TABLE batches (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  workspace_id text NOT NULL,
  title text,
  created_at double precision NOT NULL,
  finished_at double precision
);

-- `rank` is a job's place in line and `seconds` how long its next run will last; both NULL where it stands in none.
-- `mover` is the server that moves the job next, until `moving_until`: the database's time. Room is left in each page
-- so that a lease, which touches no index, stays on it.
CREATE TABLE jobs (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  workspace_id text NOT NULL,
  status text NOT NULL,
  sequence integer NOT NULL,
  version integer NOT NULL,
  output_language text NOT NULL,
  request text NOT NULL,
  plan text NOT NULL,
  created_at double precision NOT NULL,
  updated_at double precision NOT NULL,
  due_at double precision,
  progress integer NOT NULL,
  files_at double precision,
  failure_message text,
  cancelled_at double precision,
  deleted_at double precision,
  runs integer NOT NULL,
  in_preflight boolean NOT NULL,
  batch bigint,
  item integer,
  rank double precision,
  lane integer,
  seconds double precision,
  mover bigint,
  moving_until double precision
) WITH (fillfactor = 70);
CREATE INDEX jobs_of_workspace ON jobs (workspace_id, n) WHERE deleted_at IS NULL;
CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_of_batch ON jobs (batch, item) WHERE batch IS NOT NULL;
CREATE INDEX jobs_going_on_in_batch ON jobs (batch) WHERE batch IS NOT NULL AND status IN ('pending', 'running');
CREATE INDEX jobs_in_preflight ON jobs (n) WHERE in_preflight;
CREATE INDEX jobs_by_status ON jobs (workspace_id, status, n) WHERE deleted_at IS NULL;
CREATE INDEX jobs_in_line ON jobs (lane, rank, n) INCLUDE (seconds) WHERE rank IS NOT NULL;
CREATE INDEX jobs_at_work ON jobs (lane) WHERE lane IS NOT NULL AND status = 'running';

-- The log's end, in one row. Who appends events raises it, and so holds the row until its commit: the next one waits.
-- That is what makes log order commit order (decision 0027).
CREATE TABLE log (
  position bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
INSERT INTO log (position) VALUES (0);

-- `job` is NULL for a notice about an endpoint or a delivery.
CREATE TABLE events (
  position bigint PRIMARY KEY,
  id text NOT NULL UNIQUE,
  workspace_id text NOT NULL,
  type text NOT NULL,
  created_at double precision NOT NULL,
  body bytea NOT NULL,
  job bigint,
  sequence integer NOT NULL,
  batch bigint
);
CREATE INDEX events_of_workspace ON events (workspace_id, position);
CREATE INDEX events_by_type ON events (workspace_id, type, position);
CREATE INDEX events_of_job ON events (job, position) WHERE job IS NOT NULL;
CREATE INDEX events_of_batch ON events (batch, position) WHERE batch IS NOT NULL;

-- Scheduling: `failing_since` and `strain` tell how it goes, `paused_until` holds everything back, `next_send_at`
-- spaces out what a rate limit allows. Up to the log position `forgotten`, deliveries may have been pruned: that one is
-- missing does not mean that nothing was sent.
CREATE TABLE endpoints (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  workspace_id text NOT NULL,
  url text NOT NULL,
  created_at double precision NOT NULL,
  secret text NOT NULL,
  retired text NOT NULL,
  private_key text,
  events text[],
  entity_id text,
  description text,
  headers text NOT NULL,
  ordering text NOT NULL,
  max_in_flight integer,
  rate_limit double precision,
  is_callback boolean NOT NULL,
  ttl_seconds double precision,
  expires_at double precision,
  status text NOT NULL,
  disabled_reason text,
  failing_since double precision,
  strain integer NOT NULL DEFAULT 0,
  paused_until double precision,
  next_send_at double precision,
  forgotten bigint NOT NULL DEFAULT 0,
  deleted_at double precision
) WITH (fillfactor = 70);
-- A callback is found by its job (`entity_id`), so that thousands of them do not weigh on every event.
CREATE INDEX endpoints_listed ON endpoints (workspace_id, n) WHERE deleted_at IS NULL AND NOT is_callback;
CREATE INDEX endpoints_of_job ON endpoints (entity_id) WHERE deleted_at IS NULL AND is_callback;
CREATE INDEX endpoints_expiring ON endpoints (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- The table is the queue (decision 0004). An open row has settled_at NULL; of one lane (endpoint, job, lane) only the
-- oldest open row is 'due', the others are 'waiting' and have no due_at. A claimed row has a claim_id.
-- Lane 0 is for first deliveries, lane 1 for those that were taken up again: the two never wait for each other.
-- `attempts` counts all of them, `tries` those of the present run of the retry schedule, `hurries` how often an
-- endpoint's recovery brought its retry forward.
CREATE TABLE deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event bigint NOT NULL,
  endpoint bigint NOT NULL,
  job bigint,
  lane integer NOT NULL DEFAULT 0,
  state text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  tries integer NOT NULL DEFAULT 0,
  hurries integer NOT NULL DEFAULT 0,
  due_at double precision,
  claim_id bigint,
  leased_until double precision,
  first_attempt_at double precision,
  settled_at double precision
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX deliveries_open ON deliveries (job, endpoint, lane, event) WHERE settled_at IS NULL AND job IS NOT NULL;
CREATE INDEX deliveries_ready ON deliveries (endpoint, due_at, id) WHERE settled_at IS NULL AND claim_id IS NULL;
CREATE INDEX deliveries_claimed ON deliveries (endpoint) WHERE claim_id IS NOT NULL;
CREATE INDEX deliveries_of_event ON deliveries (event);
CREATE INDEX deliveries_dead ON deliveries (endpoint, id) WHERE state = 'dead';

CREATE TABLE attempts (
  delivery bigint NOT NULL,
  number integer NOT NULL,
  started_at double precision NOT NULL,
  duration double precision NOT NULL,
  kind text NOT NULL,
  status integer,
  detail text NOT NULL,
  retry_after text,
  body bytea NOT NULL,
  address text,
  PRIMARY KEY (delivery, number)
);

CREATE TABLE sweeps (
  id text PRIMARY KEY,
  workspace_id text NOT NULL,
  endpoint bigint NOT NULL,
  kind text NOT NULL,
  since double precision NOT NULL,
  position bigint NOT NULL,
  until bigint NOT NULL,
  found bigint NOT NULL,
  created_at double precision NOT NULL,
  finished_at double precision
);
CREATE INDEX sweeps_running ON sweeps (created_at) WHERE finished_at IS NULL;

-- One row: where the server's clock stands (decision 0013). No row: it shows the database's time.
CREATE TABLE clock (
  n integer PRIMARY KEY CHECK (n = 1),
  virtual_at double precision NOT NULL,
  real_at double precision NOT NULL,
  speed double precision NOT NULL
);

-- What is known of an uploaded file; the file itself lies in a folder, by the asset's id.
CREATE TABLE assets (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  workspace_id text NOT NULL,
  media_type text NOT NULL,
  size bigint NOT NULL,
  seconds double precision,
  created_at double precision NOT NULL
);
CREATE INDEX assets_by_age ON assets (created_at);

-- One row: what signs the URLs of files. Every server on this store uses the same.
CREATE TABLE file_key (
  n integer PRIMARY KEY CHECK (n = 1),
  key bytea NOT NULL
);

-- Each server takes a number: the upper half of its claims' and marks' ids, so that no two servers' are the same.
CREATE SEQUENCE servers MAXVALUE 2147483647 CYCLE;

-- Chapters of seeded ids (decision 0030).
CREATE SEQUENCE chapters;
