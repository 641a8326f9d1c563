-- What is settled leaves the queue (decision 0036): with its attempts, as one row, into the partition of the day (UTC) on
-- which it was settled. Delivered and failed ones are kept for different times, so each kind has days of its own.

CREATE TYPE attempt AS (
  number integer,
  started_at double precision,
  duration double precision,
  kind text,
  status integer,
  detail text,
  retry_after text,
  address text
);

-- `answers` are the bodies, in the order of `log`; NULL where all are empty, or kept no longer.
CREATE TABLE settled (
  id bigint NOT NULL,
  event bigint NOT NULL,
  endpoint bigint NOT NULL,
  job bigint,
  attempts integer NOT NULL,
  state text NOT NULL,
  first_attempt_at double precision,
  settled_at double precision NOT NULL,
  log attempt[],
  answers bytea[]
) PARTITION BY LIST (state);
CREATE TABLE settled_delivered PARTITION OF settled FOR VALUES IN ('delivered') PARTITION BY RANGE (settled_at);
CREATE TABLE settled_failed PARTITION OF settled FOR VALUES IN ('dead', 'superseded') PARTITION BY RANGE (settled_at);
CREATE INDEX settled_by_id ON settled (id);
CREATE INDEX settled_of_event ON settled (event);
CREATE INDEX settled_with_answers ON settled (settled_at) WHERE answers IS NOT NULL;
CREATE INDEX settled_dead ON settled_failed (endpoint, id) WHERE state = 'dead';

-- One row: what was settled before is kept no longer, though it may not have been dropped yet.
CREATE TABLE kept (
  delivered_since double precision NOT NULL,
  failed_since double precision NOT NULL
);
INSERT INTO kept VALUES (0, 0);

-- The partitions of a day, counted from 1970, where they are missing. To attach one stops nobody; to make it as a
-- partition at once would stop all who settle.
CREATE FUNCTION make_day(day integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  name text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['settled_delivered', 'settled_failed'] LOOP
    name := parent || to_char(to_timestamp(day * 86400.0) AT TIME ZONE 'UTC', '_YYYYMMDD');
    CONTINUE WHEN to_regclass(name) IS NOT NULL;
    EXECUTE format('CREATE TABLE %I (LIKE %I)', name, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
      parent, name, day * 86400.0, (day + 1) * 86400.0);
  END LOOP;
END $$;

LOCK TABLE deliveries, attempts IN ACCESS EXCLUSIVE MODE;
SELECT make_day(day)
FROM (SELECT DISTINCT floor(settled_at / 86400)::integer AS day FROM deliveries WHERE settled_at IS NOT NULL) days;
INSERT INTO settled (id, event, endpoint, job, attempts, state, first_attempt_at, settled_at, log, answers)
SELECT id, event, endpoint, job, attempts, state, first_attempt_at, settled_at, log,
  CASE WHEN is_answered THEN answers END
FROM deliveries LEFT JOIN (
  SELECT delivery, array_agg(ROW(number, started_at, duration, kind, status, detail, retry_after, address)::attempt
      ORDER BY number) AS log,
    array_agg(body ORDER BY number) AS answers, bool_or(body <> '') AS is_answered
  FROM attempts GROUP BY delivery) logs ON logs.delivery = deliveries.id
WHERE settled_at IS NOT NULL;
DELETE FROM attempts USING deliveries WHERE id = delivery AND settled_at IS NOT NULL;
DELETE FROM deliveries WHERE settled_at IS NOT NULL;

-- A server of an earlier version would leave here what it settles: it fails instead, and another one settles it.
ALTER TABLE deliveries ADD CONSTRAINT deliveries_are_open CHECK (settled_at IS NULL);
DROP INDEX deliveries_dead;

-- A delivery is in one place at any instant, under one id: so what reads both in one statement sees it once.
CREATE VIEW every_delivery AS
SELECT id, event, endpoint, job, state, attempts, due_at, first_attempt_at, settled_at, NULL::attempt[] AS log,
  NULL::bytea[] AS answers, true AS is_kept
FROM deliveries
UNION ALL
SELECT id, event, endpoint, job, 'delivered', attempts, NULL, first_attempt_at, settled_at, log, answers,
  settled_at >= (SELECT delivered_since FROM kept)
FROM settled_delivered
UNION ALL
SELECT id, event, endpoint, job, state, attempts, NULL, first_attempt_at, settled_at, log, answers,
  settled_at >= (SELECT failed_since FROM kept)
FROM settled_failed;
