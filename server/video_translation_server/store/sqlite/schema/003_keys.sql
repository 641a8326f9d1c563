-- A key gets an id, by which it is listed and revoked. No version wrote keys before this one, so none is lost.
DROP TABLE keys;
CREATE TABLE keys (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  hash BLOB NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  label TEXT,
  created_at REAL NOT NULL,
  revoked_at REAL
) STRICT;
CREATE INDEX keys_of_workspace ON keys (workspace_id, n);
