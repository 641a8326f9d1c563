"""Every setting of the server, once: name, type, default, meaning. Read by `cli`, `serve`, `app` and `parts` only.

`cli` turns each field into a flag and an environment variable; the rest of the server gets plain values.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _split(value: object) -> object:
    """Comma-separated text becomes its parts; anything else is left to the type."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _range(value: object) -> object:
    """`10` or `5-15` becomes its two ends."""
    if isinstance(value, int | float):
        return (value, value)
    if isinstance(value, str):
        low, separator, high = value.partition("-")
        return (low, high if separator else low)
    return value


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refused here already, so that the refusal names the setting."""
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f"{error}; write each network as a CIDR such as 10.0.0.0/8") from error
    return values


def _base_url(value: str) -> str:
    """Refused unless paths can be put behind it."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http:// or https:// URL with a host and without a query, as https://media.example")
    return value.rstrip("/")


BaseUrl = Annotated[str, Field(max_length=255), AfterValidator(_base_url)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[Words, AfterValidator(_networks)]
Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86400, allow_inf_nan=False)]
DelaySeconds = Annotated[float, Field(ge=0, le=10 * 365 * 86400, allow_inf_nan=False)]
Delays = Annotated[tuple[DelaySeconds, ...], BeforeValidator(_split)]
SecondsRange = Annotated[tuple[DelaySeconds, DelaySeconds], BeforeValidator(_range)]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """The server's settings; a bad value raises pydantic's ValidationError, which names the field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        "127.0.0.1", description="Address to listen on. Anything but loopback needs --api-keys or --admin-key."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    store: str = Field(
        "video-translation.db",
        description="Database: a file path or sqlite:///path; postgresql://user:password@host/name to share one.",
    )
    api_keys: Words = Field((), description="Keys that callers may use, separated by commas. None: any, on loopback.")
    require_key: bool = Field(False, description="Ask for a key on loopback too, where none is configured.")
    admin_key: str | None = Field(
        None, min_length=1, description="Key of /v3/admin. None: open where no key is needed, otherwise closed."
    )
    lenient: bool = Field(False, description="Pass over unknown fields of a request instead of refusing them.")
    max_request_bytes: int = Field(1024 * 1024, ge=1024, description="Largest body of a request, bytes.")

    role: Literal["all", "api", "worker"] = Field(
        "all", description="With a shared store: answer the API only, move jobs and deliver only, or do all of it."
    )

    assets: Path | None = Field(
        None,
        description="Folder of uploaded files; none: <store>-assets. Servers that share a database share one.",
    )
    fetch_videos: bool = Field(
        False, description="Fetch the videos that translations name by URL, and look at them before the jobs begin."
    )
    fetch_timeout: Seconds = Field(30, description="Deadline of fetching one video, redirects included, seconds.")
    max_fetch_bytes: int = Field(256 * 1024 * 1024, ge=1, description="Largest video that is fetched, bytes.")
    max_asset_bytes: int = Field(32 * 1024 * 1024, ge=1, description="Largest file that can be uploaded, bytes.")

    translation_time: SecondsRange = Field(
        (10.0, 10.0), description="Seconds that a job takes from creation to its end: 10, or a range as 5-15."
    )
    time_distribution: Literal["fixed", "uniform", "lognormal"] = Field(
        "uniform", description="How the range is used: its middle, evenly, or lognormal with 90 % inside of it."
    )
    seconds_per_video_minute: DelaySeconds = Field(0, description="Seconds more for each minute of the video.")
    video_length: DelaySeconds = Field(60, description="Seconds that a video lasts of which nothing else is known.")
    precision_factor: float = Field(1, gt=0, le=1000, description="How many times as long the mode precision takes.")
    language_factor: float = Field(
        0, ge=0, le=1000, description="By which share each further language of a request makes its jobs longer."
    )
    workers: int | None = Field(
        None, ge=1, le=100_000, description="Jobs that run at once; the others stand in line. None: all of them run."
    )
    fast_workers: int = Field(0, ge=0, le=100_000, description="With --workers: so many more, for short jobs only.")
    fast_lane: DelaySeconds = Field(30, description="Longest time of a job that counts as short, seconds.")
    ageing: DelaySeconds = Field(
        60, description="Seconds of waiting in line that weigh as much as one step of priority (0-9)."
    )
    pending_share: Share = Field(0.1, description="Share of that time which a job waits before it runs.")
    concurrent_jobs: int | None = Field(
        None, ge=1, description="Jobs of a workspace that may go on at once; more get 429. The real service: 10."
    )
    error_rate: Share = Field(0.1, description="Probability that a run of a job ends in an error.")
    error_message: str | None = Field(
        None, min_length=1, max_length=1000, description="What a failed job says: a text, or a preset as no_audio."
    )
    error_retries: int = Field(
        0,
        ge=0,
        le=100,
        description="How often a job whose run ended in an error goes back to the queue before it fails.",
    )
    stall_rate: Share = Field(0, description="Probability that a run stalls half-way.")
    stall_timeout: Seconds = Field(60, description="Seconds after which a run that stalls counts as an error.")
    progress_steps: int = Field(
        1, ge=1, le=100, description="In how many parts a run tells its progress; 4: events at 25, 50 and 75 %."
    )
    progression: Literal["time", "immediate", "manual"] = Field(
        "time", description="What moves a job: time, its creation at once, or polls and calls only."
    )
    polls: int | None = Field(
        None, ge=1, le=1_000_000, description="With --progression manual: every so many polls, one move."
    )
    url_delay: DelaySeconds = Field(0, le=365 * 86400, description="Seconds that a completed job has no URL yet.")
    scenario: Path | None = Field(None, description="TOML file that says which job meets what fate.")
    seed: int | None = Field(
        None,
        description="Seed of chance and ids, on loopback of signing secrets too, so that a run can be repeated; "
        "none: different every time.",
    )
    frozen_at: AwareDatetime | None = Field(
        None, description="Instant (ISO 8601, with a zone) where a new store's clock stands until /_sim moves it."
    )
    start_job: bool = Field(True, description="Start one job by itself when the store is empty.")

    public_url: BaseUrl | None = Field(
        None, description="URL at which callers reach this server, for the URLs of files. None: what it listens on."
    )
    longest_film: Seconds = Field(4 * 3600, description="Seconds after which a file that is made ends.")
    keep_films: Seconds = Field(86400, description="Seconds that a made file is kept unused; it can be made again.")
    max_film_bytes: int = Field(1024**3, ge=0, description="Bytes of made files that are kept; the unused go first.")
    file_url_ttl: Seconds = Field(7 * 86400, description="Seconds that the URL of a file is good for.")

    simulator: bool = Field(
        True, description="Doors under /_sim that set the clock and move jobs, open as /v3/admin is. false: none."
    )

    attempt_timeout: Seconds = Field(10, description="Deadline of one delivery attempt as a whole, seconds.")
    connect_timeout: Seconds = Field(5, description="Share of it for the connection, seconds.")
    retry_delays: Delays = Field(
        (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800),
        description="Seconds after the 1st, 2nd, ... failed attempt, separated by commas.",
    )
    retry_jitter: Share = Field(0.2, description="Up to this share of a delay is added to it.")
    max_retry_after: DelaySeconds = Field(3600, description="Longest Retry-After that is honoured, seconds.")
    disable_after: Seconds = Field(3 * 86400, description="Seconds without a success that disable a failing endpoint.")
    max_in_flight: int = Field(16, ge=1, le=10_000, description="Attempts under way per endpoint.")
    concurrency: int = Field(256, ge=1, le=100_000, description="Attempts under way in all.")
    lease: Seconds = Field(30, description="Seconds that a claim on a delivery holds without renewal.")
    poll_interval: Seconds = Field(5, description="Seconds after which the store is looked at without a bell.")
    allow_targets: Networks = Field(
        (), description="Networks (CIDR) that may be called although they are not public, separated by commas."
    )
    ca_file: Path | None = Field(None, description="PEM file of a private CA that receivers' certificates may use.")
    drain_timeout: DelaySeconds = Field(
        0.5, description="Seconds that attempts under way get to end when the server stops; then they are aborted."
    )
    keep_delivered: Seconds = Field(7 * 86400, description="Seconds that delivered deliveries are kept.")
    keep_dead: Seconds = Field(30 * 86400, description="Seconds that dead deliveries and events are kept.")
    keep_bodies: Seconds = Field(7 * 86400, description="Seconds that receivers' answers are kept in the attempt log.")
    keep_assets: Seconds = Field(30 * 86400, description="Seconds that uploaded files are kept.")
    stop_timeout: Seconds = Field(1.0, description="Seconds that requests under way get when the server stops.")

    stream_limit: int = Field(1000, ge=1, le=100_000, description="Event streams that may be open at once.")
    stream_heartbeat: Seconds = Field(15, description="Seconds without an event after which a stream gets a comment.")
    stream_stall: Seconds = Field(10, description="Seconds after which a stream whose reader takes nothing is cut.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="Lines for people or for machines.")
    log_file: Path | None = Field(None, description="Write the log to this file too.")

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        low, high = self.translation_time
        if low > high:
            raise ValueError(f"translation_time: {low:g}-{high:g} is no range: the first number must be the smaller")
        if self.time_distribution == "lognormal" and low == 0 < high:
            raise ValueError("translation_time: a lognormal range cannot begin at 0")
        if self.fast_workers and self.workers is None:
            raise ValueError("fast_workers: goes with --workers")
        if self.frozen_at is not None and not self.simulator:
            raise ValueError("frozen_at: goes with --simulator true, or nothing could move the clock")
        if self.polls is not None and self.progression != "manual":
            raise ValueError("polls: goes with --progression manual")
        if self.lease <= self.attempt_timeout:
            raise ValueError(
                f"lease: {self.lease:g} s must be longer than attempt_timeout ({self.attempt_timeout:g} s), "
                "or a delivery could be attempted twice at once"
            )
        if not (self.is_loopback or self.api_keys or self.admin_key):
            raise ValueError(
                f"api_keys: listening on {self.host} opens the server to the network: give --api-keys, "
                "or --admin-key and create keys, or listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_store(self) -> "Settings":
        if self.frozen_at is not None and self.is_shared:
            raise ValueError("frozen_at: goes with a file as --store; servers that share a database go by its time")
        if self.role != "all" and not self.is_shared:
            raise ValueError(
                f"role: {self.role} goes with a store that several servers share, as --store postgresql://...; "
                "a file has one server, which does everything"
            )
        return self

    @property
    def shelf(self) -> Path:
        """The folder of uploaded files."""
        if self.assets is None and self.is_shared:
            return Path("video-translation-assets")
        return self.assets or Path(self.store.removeprefix("sqlite:///") + "-assets")

    @property
    def is_shared(self) -> bool:
        """True where several servers may have the store open."""
        return self.store.startswith(("postgresql://", "postgres://"))

    @property
    def is_open(self) -> bool:
        """True where callers need no key."""
        return self.is_loopback and not self.api_keys and not self.require_key

    @property
    def is_loopback(self) -> bool:
        """True where only this machine can call the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
