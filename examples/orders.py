"""Books every step of every job in a ledger exactly once, whatever kills this process and however often.

The ledger and the client's inbox are one SQLite database, and what is booked is committed together with how far the
job has been handled. Try it: start a server, then this, kill it at any time, start it again.

    python -m video_translation_server serve
    python -m examples.orders orders.db
"""

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence

from video_translation_client import Event, InboxState, RetryLater, VideoTranslationClient

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (entry INTEGER PRIMARY KEY, job_id TEXT, sequence INTEGER, status TEXT);
CREATE TABLE IF NOT EXISTS handled (job_id TEXT PRIMARY KEY, sequence INTEGER, goes_on INTEGER);
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);
"""


class Orders:
    """The shop's database, and the client's `InboxStorage`."""

    def __init__(self, path: str) -> None:
        """Open the file, or make it."""
        # Callbacks and `save` come on two threads of the client; the lock keeps their transactions apart.
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
        self._lock = threading.Lock()

    def book(self, event: Event) -> None:
        """Book one transition. This is the callback: the effect and how far we are go into ONE transaction."""
        if event.transition is None:
            return  # a notice: nothing to book
        job_id, sequence = event.transition
        try:
            with self._transaction():
                self.connection.execute(
                    "INSERT INTO ledger (job_id, sequence, status) VALUES (?, ?, ?)",
                    (job_id, sequence, event.job.status),
                )
                self.connection.execute(
                    "INSERT OR REPLACE INTO handled (job_id, sequence, goes_on) VALUES (?, ?, ?)",
                    (job_id, sequence, not event.job.terminal),
                )
        except sqlite3.OperationalError as error:  # locked by another program, or no room: not booked
            raise RetryLater(1.0) from error

    def load(self) -> InboxState:
        """Tell the client where the database stands."""
        with self._lock:
            place = self.connection.execute("SELECT cursor FROM place").fetchone()
            handled = self.connection.execute("SELECT job_id, sequence, goes_on FROM handled").fetchall()
        return InboxState(
            cursor=place[0] if place else None,
            sequences={job_id: sequence for job_id, sequence, _ in handled},
            # A service that is restored to an earlier point may end one of these with a sequence that is booked.
            going_on={job_id for job_id, _, goes_on in handled if goes_on},
        )

    def save(self, *, keep: Sequence[Event], done: Sequence[Event], cursor: str | None) -> None:
        """Store the cursor only: `book` has committed what is done, and what is not can be read from the log again."""
        del keep, done
        if cursor is not None:
            with self._transaction():
                self.connection.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (cursor,))

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise


def main(path: str) -> None:
    """Book until Ctrl-C."""
    orders = Orders(path)

    def book(event: Event) -> None:
        orders.book(event)
        print(f"booked: job {event.job.id} is {event.job.status} (sequence {event.job.sequence})", flush=True)

    with VideoTranslationClient(inbox=orders) as client, contextlib.suppress(KeyboardInterrupt):
        client.register_webhook(book)
        print(f"booking into {path}; Ctrl-C ends it", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "orders.db")
