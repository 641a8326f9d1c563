-- Pages of one endpoint's deliveries, newest first: of what is open, and of what is settled. The latter does for those
-- that are dead, too: they have partitions to themselves, and next to nothing beside them there.
CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint, id);
CREATE INDEX settled_of_endpoint ON settled (endpoint, id);
DROP INDEX settled_dead;
