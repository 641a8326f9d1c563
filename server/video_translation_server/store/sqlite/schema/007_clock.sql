-- One row: where the server's clock stands (decision 0013). No row: it shows the machine's time.
CREATE TABLE clock (
  n INTEGER PRIMARY KEY CHECK (n = 1),
  virtual_at REAL NOT NULL,
  real_at REAL NOT NULL,
  speed REAL NOT NULL
) STRICT;
