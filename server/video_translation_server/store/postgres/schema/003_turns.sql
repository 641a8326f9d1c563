-- Whose turn it is to be claimed from (decision 0037). For each free delivery (open, due_at set, not claimed) its
-- endpoint has a row here that is no later than it may go; so a claim reads the line from its head, as far as it has
-- places to fill, and never walks past those that it cannot serve.
-- Rows are only ever inserted, by whoever makes a delivery free, and deleted by who claims for the endpoint and holds
-- its row: nobody waits here for anybody. An endpoint may have several rows, and a row may be too early; a claim that
-- comes to one puts a single true one into the place of all that it sees.
-- `served` is when the endpoint last got something: it goes on behind those that have waited since.
-- An endpoint that a claim has filled has its turn at infinity, and a new row when a lease ends. `full_at` is the
-- server's limit by which it is full, where it has none of its own.
CREATE TABLE turns (
  n bigint GENERATED ALWAYS AS IDENTITY,
  endpoint bigint NOT NULL,
  at double precision NOT NULL,
  served double precision,
  full_at integer
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_threshold = 1000,
  autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX turns_in_order ON turns (at, n);
CREATE INDEX turns_of_endpoint ON turns (endpoint, at, n);
CREATE INDEX turns_of_full ON turns (full_at) WHERE full_at IS NOT NULL;

-- A turn for those of some endpoints that have a free delivery, by the due time of the first. It looks at nothing else:
-- what another transaction may be changing (a pause, a limit) is for the next claim to see. Planned once: to plan for one
-- endpoint or for ten takes longer than either.
CREATE FUNCTION offer_turns(given bigint[]) RETURNS void LANGUAGE plpgsql STRICT
SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
  INSERT INTO turns (endpoint, at, served)
  SELECT g.endpoint, greatest(free.due_at, before.served), before.served
  FROM unnest(given) AS g(endpoint)
  CROSS JOIN LATERAL (
    SELECT d.due_at FROM deliveries d
    WHERE d.endpoint = g.endpoint AND d.settled_at IS NULL AND d.claim_id IS NULL AND d.due_at IS NOT NULL
    ORDER BY d.due_at LIMIT 1) free
  LEFT JOIN LATERAL (
    SELECT t.served FROM turns t WHERE t.endpoint = g.endpoint ORDER BY t.at DESC, t.n DESC LIMIT 1) before ON true;
END $$;

CREATE FUNCTION deliveries_are_added() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM offer_turns(array_agg(DISTINCT endpoint)) FROM became
  WHERE settled_at IS NULL AND claim_id IS NULL AND due_at IS NOT NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER deliveries_are_added AFTER INSERT ON deliveries
REFERENCING NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION deliveries_are_added();

-- What is free now, or earlier than it was, may have no turn yet; and a lease that has ended makes room where an endpoint
-- was full. Both per endpoint: a join of the rows as they were to the rows as they are would be planned once, for the
-- first statement's few. A claim does neither, and a renewal of leases.
CREATE FUNCTION deliveries_are_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM became WHERE claim_id IS NULL) THEN
    RETURN NULL;
  END IF;
  PERFORM offer_turns(array_agg(endpoint)) FROM (
    SELECT endpoint,
      min(free_at) FILTER (WHERE is_now) < coalesce(min(free_at) FILTER (WHERE NOT is_now), 'infinity') AS is_freed,
      count(claim_id) FILTER (WHERE is_now) < count(claim_id) FILTER (WHERE NOT is_now) AS has_room
    FROM (
      SELECT endpoint, claim_id, CASE WHEN settled_at IS NULL AND claim_id IS NULL THEN due_at END AS free_at,
        false AS is_now FROM was
      UNION ALL
      SELECT endpoint, claim_id, CASE WHEN settled_at IS NULL AND claim_id IS NULL THEN due_at END, true FROM became
    ) moved
    GROUP BY endpoint) touched
  WHERE is_freed
    OR has_room AND EXISTS (SELECT 1 FROM turns t WHERE t.endpoint = touched.endpoint AND t.at = 'infinity');
  RETURN NULL;
END $$;
CREATE TRIGGER deliveries_are_changed AFTER UPDATE ON deliveries
REFERENCING OLD TABLE AS was NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION deliveries_are_changed();

CREATE FUNCTION deliveries_are_removed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM offer_turns(array_agg(DISTINCT endpoint)) FROM was
  WHERE claim_id IS NOT NULL AND EXISTS (SELECT 1 FROM turns t WHERE t.endpoint = was.endpoint AND t.at = 'infinity');
  RETURN NULL;
END $$;
CREATE TRIGGER deliveries_are_removed AFTER DELETE ON deliveries
REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION deliveries_are_removed();

CREATE FUNCTION endpoint_is_let_go() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM offer_turns(ARRAY[NEW.n]);
  RETURN NULL;
END $$;
CREATE TRIGGER endpoint_is_let_go AFTER UPDATE OF status, max_in_flight, strain, paused_until, next_send_at ON endpoints
FOR EACH ROW WHEN (
  NEW.status IS DISTINCT FROM OLD.status OR NEW.max_in_flight IS DISTINCT FROM OLD.max_in_flight
  OR NEW.strain < OLD.strain OR coalesce(NEW.paused_until, 0) < coalesce(OLD.paused_until, 0)
  OR coalesce(NEW.next_send_at, 0) < coalesce(OLD.next_send_at, 0))
EXECUTE FUNCTION endpoint_is_let_go();

SELECT offer_turns(array_agg(DISTINCT endpoint)) FROM deliveries WHERE settled_at IS NULL;
