-- What is known of an uploaded file; the file itself lies in a folder beside the database, by the asset's id.
CREATE TABLE assets (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at REAL NOT NULL
) STRICT;
CREATE INDEX assets_by_age ON assets (created_at);
