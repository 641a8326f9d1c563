-- For those who read: a type of event that is rare, the event of a batch, and what went to one endpoint are found without
-- walking past all others.
CREATE INDEX events_by_type ON events (workspace_id, type, position);
CREATE INDEX events_of_batch ON events (batch) WHERE batch IS NOT NULL;
-- An expression, so that no statement of the queue takes one of these for its own, smaller ones.
CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint + 0);
CREATE INDEX deliveries_dead ON deliveries (endpoint + 0) WHERE state = 'dead';
CREATE INDEX idempotency_under_way ON idempotency (mark) WHERE mark IS NOT NULL;
