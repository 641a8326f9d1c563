-- What is remembered of endpoints between claims is good for as long as the mark is the same (decision 0043). Random, so
-- that a change which is rolled back leaves none behind that a later one could meet. An endpoint of one job is not
-- remembered, so that it comes and goes without a mark.
CREATE TABLE recipients (
  n INTEGER PRIMARY KEY CHECK (n = 1),
  mark INTEGER NOT NULL
) STRICT;
INSERT INTO recipients VALUES (1, random());

CREATE TRIGGER recipient_is_added AFTER INSERT ON endpoints WHEN NOT NEW.is_callback BEGIN
  UPDATE recipients SET mark = random();
END;

CREATE TRIGGER recipient_is_changed
AFTER UPDATE OF id, url, secret, retired, private_key, headers, max_in_flight, rate_limit ON endpoints
WHEN NOT NEW.is_callback BEGIN
  UPDATE recipients SET mark = random();
END;

CREATE TRIGGER recipient_is_strained AFTER UPDATE OF strain ON endpoints
WHEN NEW.strain IS NOT OLD.strain AND NOT NEW.is_callback BEGIN
  UPDATE recipients SET mark = random();
END;
