-- The line of turns goes round (decision 0041): where a claim takes deliveries, the claim itself moves the turn on.
DROP TRIGGER delivery_is_taken;
CREATE TRIGGER delivery_is_taken AFTER UPDATE OF due_at, claim_id ON deliveries
WHEN OLD.due_at IS NOT NULL AND OLD.claim_id IS NULL AND NEW.claim_id IS NULL
  AND (NEW.due_at IS NULL OR NEW.due_at > OLD.due_at) BEGIN
  DELETE FROM turns WHERE endpoint = OLD.endpoint AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE endpoint = OLD.endpoint AND due_at IS NOT NULL AND claim_id IS NULL);
  UPDATE turns SET at = (SELECT at FROM turns_as_they_are WHERE endpoint = OLD.endpoint) WHERE endpoint = OLD.endpoint;
END;
