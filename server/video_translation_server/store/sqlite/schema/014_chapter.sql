-- One row: how many chapters of seeded ids have begun (decision 0030). No row: none.
CREATE TABLE chapter (
  n INTEGER PRIMARY KEY CHECK (n = 1),
  count INTEGER NOT NULL
) STRICT;
