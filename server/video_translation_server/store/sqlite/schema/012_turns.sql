-- Whose turn it is to be claimed from: an endpoint with a free delivery (due_at set, not claimed) has a row here, `at` is
-- from when on the first of them may go. So a claim finds the endpoints that it can serve without walking past those
-- that it cannot, however many wait. The triggers keep it true to the view, whichever statement moves a delivery.
CREATE TABLE turns (
  endpoint INTEGER PRIMARY KEY REFERENCES endpoints (n),
  at REAL NOT NULL
) STRICT;
CREATE INDEX turns_in_order ON turns (at);

-- 0.05: seconds by which a rate limit may be run ahead (BURST in claims).
CREATE VIEW turns_as_they_are AS
SELECT p.n AS endpoint, max(
  (SELECT min(d.due_at) FROM deliveries d WHERE d.endpoint = p.n AND d.due_at IS NOT NULL AND d.claim_id IS NULL),
  coalesce(p.paused_until, 0), coalesce(p.next_send_at - 0.05, 0)) AS at
FROM endpoints p WHERE p.status = 'enabled';

INSERT INTO turns SELECT endpoint, at FROM turns_as_they_are WHERE at IS NOT NULL;

CREATE TRIGGER delivery_is_added AFTER INSERT ON deliveries
WHEN NEW.due_at IS NOT NULL AND NEW.claim_id IS NULL BEGIN
  INSERT INTO turns
  SELECT n, max(NEW.due_at, coalesce(paused_until, 0), coalesce(next_send_at - 0.05, 0))
  FROM endpoints WHERE n = NEW.endpoint AND status = 'enabled'
  ON CONFLICT (endpoint) DO UPDATE SET at = excluded.at WHERE excluded.at < at;
END;

CREATE TRIGGER delivery_is_freed AFTER UPDATE OF due_at, claim_id ON deliveries
WHEN NEW.due_at IS NOT NULL AND NEW.claim_id IS NULL
  AND (OLD.due_at IS NULL OR OLD.claim_id IS NOT NULL OR NEW.due_at < OLD.due_at) BEGIN
  INSERT INTO turns
  SELECT n, max(NEW.due_at, coalesce(paused_until, 0), coalesce(next_send_at - 0.05, 0))
  FROM endpoints WHERE n = NEW.endpoint AND status = 'enabled'
  ON CONFLICT (endpoint) DO UPDATE SET at = excluded.at WHERE excluded.at < at;
END;

CREATE TRIGGER delivery_is_taken AFTER UPDATE OF due_at, claim_id ON deliveries
WHEN OLD.due_at IS NOT NULL AND OLD.claim_id IS NULL
  AND (NEW.due_at IS NULL OR NEW.claim_id IS NOT NULL OR NEW.due_at > OLD.due_at) BEGIN
  DELETE FROM turns WHERE endpoint = OLD.endpoint AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE endpoint = OLD.endpoint AND due_at IS NOT NULL AND claim_id IS NULL);
  UPDATE turns SET at = (SELECT at FROM turns_as_they_are WHERE endpoint = OLD.endpoint) WHERE endpoint = OLD.endpoint;
END;

CREATE TRIGGER delivery_is_deleted AFTER DELETE ON deliveries
WHEN OLD.due_at IS NOT NULL AND OLD.claim_id IS NULL BEGIN
  DELETE FROM turns WHERE endpoint = OLD.endpoint AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE endpoint = OLD.endpoint AND due_at IS NOT NULL AND claim_id IS NULL);
  UPDATE turns SET at = (SELECT at FROM turns_as_they_are WHERE endpoint = OLD.endpoint) WHERE endpoint = OLD.endpoint;
END;

CREATE TRIGGER endpoint_is_held_or_let_go AFTER UPDATE OF status, paused_until, next_send_at ON endpoints
WHEN NEW.status IS NOT OLD.status OR NEW.paused_until IS NOT OLD.paused_until
  OR NEW.next_send_at IS NOT OLD.next_send_at BEGIN
  DELETE FROM turns WHERE endpoint = NEW.n;
  INSERT INTO turns SELECT endpoint, at FROM turns_as_they_are WHERE endpoint = NEW.n AND at IS NOT NULL;
END;
