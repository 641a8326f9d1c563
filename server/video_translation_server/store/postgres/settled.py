"""What is settled, in PostgreSQL: out of the queue, with its attempts, as one row in the partition of its day.

These are the pieces of SQL by which deliveries leave the queue; which ones do, and when, is the business of `lanes`,
`settlements` and `deliveries`. The partitions themselves are in `days`.
"""

ATTEMPT = "number, started_at, duration, kind, status, detail, retry_after, address"
"""The columns of the type `attempt`."""

SETTLED = "id, event, endpoint, job, state, attempts, first_attempt_at, settled_at, log, answers"

LOGS = f"""
said AS (
  DELETE FROM attempts a USING gone WHERE a.delivery = gone.id AND gone.attempts > 0 RETURNING a.*),
logs AS (
  SELECT delivery, array_agg(ROW({ATTEMPT})::attempt ORDER BY number) AS log,
    array_agg(body ORDER BY number) AS answers, bool_or(body <> '') AS is_answered
  FROM said GROUP BY delivery)
"""
"""What was logged of the deliveries in `gone`, taken out of the table of what is open; a row for each that has any."""


def away(*, given: str, which: str, state: str, at: str) -> str:
    """The statement that takes deliveries (`d`) out of the queue without another attempt.

    It answers with the lane that each has left: endpoint, job, lane, and when.

    Args:
        given: What stands behind USING.
        which: The condition on the deliveries.
        state: Their state from now on.
        at: When they are settled, in SQL.
    """
    return f"""
WITH gone AS (
  DELETE FROM deliveries d USING {given} WHERE {which}
  RETURNING d.id, d.event, d.endpoint, d.job, d.lane, d.attempts, d.first_attempt_at, {at} AS settled_at),
{LOGS},
moved AS (
  INSERT INTO settled ({SETTLED})
  SELECT id, event, endpoint, job, '{state}', attempts, first_attempt_at, settled_at, log,
    CASE WHEN is_answered THEN answers END
  FROM gone LEFT JOIN logs ON logs.delivery = gone.id)
SELECT endpoint, job, lane, settled_at FROM gone
"""
