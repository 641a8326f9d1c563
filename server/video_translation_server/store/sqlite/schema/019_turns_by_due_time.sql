-- A trigger costs as much as half of an UPDATE, also where it has nothing to do: to claim a delivery sets off none any
-- more. Whoever gives a claim back says when the delivery is due, even where that is as before.
DROP TRIGGER delivery_is_freed;
CREATE TRIGGER delivery_is_freed AFTER UPDATE OF due_at ON deliveries
WHEN NEW.due_at IS NOT NULL AND NEW.claim_id IS NULL
  AND (OLD.due_at IS NULL OR OLD.claim_id IS NOT NULL OR NEW.due_at < OLD.due_at) BEGIN
  INSERT INTO turns
  SELECT n, max(NEW.due_at, coalesce(paused_until, 0), coalesce(next_send_at - 0.05, 0))
  FROM endpoints WHERE n = NEW.endpoint AND status = 'enabled'
  ON CONFLICT (endpoint) DO UPDATE SET at = excluded.at WHERE excluded.at < at;
END;

DROP TRIGGER delivery_is_taken;
CREATE TRIGGER delivery_is_taken AFTER UPDATE OF due_at ON deliveries
WHEN OLD.due_at IS NOT NULL AND OLD.claim_id IS NULL AND NEW.claim_id IS NULL
  AND (NEW.due_at IS NULL OR NEW.due_at > OLD.due_at) BEGIN
  DELETE FROM turns WHERE endpoint = OLD.endpoint AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE endpoint = OLD.endpoint AND due_at IS NOT NULL AND claim_id IS NULL);
  UPDATE turns SET at = (SELECT at FROM turns_as_they_are WHERE endpoint = OLD.endpoint) WHERE endpoint = OLD.endpoint;
END;
