"""`/_sim`: the clock, the jobs and the state of the simulation in its user's hand; open as `/v3/admin` is.

Nothing of it exists on a server whose setting `simulator` is off.
"""

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from video_translation_server import __version__
from video_translation_server.api.answers import answer, page, plain
from video_translation_server.api.auth import Admin
from video_translation_server.api.context import Simulator, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.shown import shown
from video_translation_server.errors import NotFoundError
from video_translation_server.wire.events import iso_time, maybe_iso_time
from video_translation_server.wire.responses import Answer, Page, Translation
from video_translation_server.wire.simulator import (
    AdvanceRequest,
    AskedAnswer,
    ClockAnswer,
    ConfigAnswer,
    ConfigRequest,
    Erased,
    FailRequest,
    FaultAnswer,
    FaultRequest,
    Nothing,
    SeedAnswer,
    SeedRequest,
    SimulatorHealth,
    SpeedRequest,
)

router = APIRouter(prefix="/_sim", tags=["simulator"], dependencies=[Admin], responses=RESPONSES)


def _simulator(context: Surroundings) -> Simulator:
    if context.simulator is None:
        raise NotFoundError("this server has no simulator; start it with --simulator true")
    return context.simulator


Sim = Annotated[Simulator, Depends(_simulator)]
"""Parameter type of a route that drives the simulation."""


@router.get("/health", response_model=SimulatorHealth)
async def health(sim: Sim) -> Response:
    """The simulator answers."""
    return plain({"status": "ok", "version": __version__, "clock": await _clock(sim)})


@router.get("/clock", response_model=Answer[ClockAnswer])
async def clock(sim: Sim) -> Response:
    """Where the clock stands, and when anything is due next."""
    return answer(await _clock(sim))


@router.post("/clock/freeze", response_model=Answer[ClockAnswer])
async def freeze(sim: Sim, _: Nothing | None = None) -> Response:
    """Stop the clock: what is due now happens, nothing becomes due by itself."""
    await sim.timeline.run(0)
    return answer(await _clock(sim))


@router.post("/clock/resume", response_model=Answer[ClockAnswer])
async def resume(sim: Sim, _: Nothing | None = None) -> Response:
    """Let the clock go on from where it stands, at real speed."""
    await sim.timeline.run(1)
    return answer(await _clock(sim))


@router.post("/clock/speed", response_model=Answer[ClockAnswer])
async def speed(request: SpeedRequest, sim: Sim) -> Response:
    """Let the clock go on from where it stands, at another speed."""
    await sim.timeline.run(request.factor)
    return answer(await _clock(sim))


@router.post("/clock/advance", response_model=Answer[ClockAnswer])
async def advance(request: AdvanceRequest, sim: Sim) -> Response:
    """Set the clock forward; the answer comes when all that was due on the way has happened, in order."""
    if request.seconds is None:
        await sim.timeline.advance_to_next()
    else:
        await sim.timeline.advance(request.seconds)
    return answer(await _clock(sim))


@router.post("/jobs/{video_translation_id}/complete", response_model=Answer[Translation])
async def complete(video_translation_id: str, sim: Sim, context: Surroundings, _: Nothing | None = None) -> Response:
    """Complete a job now, whatever was planned. 409 `conflict` for one that has ended."""
    return answer(await shown(await sim.control.complete(video_translation_id), context))


@router.post("/jobs/{video_translation_id}/fail", response_model=Answer[Translation])
async def fail(
    video_translation_id: str, sim: Sim, context: Surroundings, request: FailRequest | None = None
) -> Response:
    """Let a job fail now. 409 `conflict` for one that has ended."""
    message = context.planner.failure_text((request or FailRequest()).message)
    return answer(await shown(await sim.control.fail(video_translation_id, message), context))


@router.post("/jobs/{video_translation_id}/advance", response_model=Answer[Translation])
async def advance_job(video_translation_id: str, sim: Sim, context: Surroundings, _: Nothing | None = None) -> Response:
    """Make a job's next planned move now. 409 `conflict` for one that has ended."""
    return answer(await shown(await sim.control.advance(video_translation_id), context))


@router.post("/jobs/{video_translation_id}/stall", response_model=Answer[Translation])
async def stall(video_translation_id: str, sim: Sim, context: Surroundings, _: Nothing | None = None) -> Response:
    """Let a job stand still until it is moved by hand. 409 `conflict` for one that has ended."""
    return answer(await shown(await sim.control.stall(video_translation_id), context))


@router.post("/jobs/{video_translation_id}/reset", response_model=Answer[Translation])
async def reset_job(video_translation_id: str, sim: Sim, context: Surroundings, _: Nothing | None = None) -> Response:
    """Put a job back to the beginning of its plan, from whatever status; its sequence goes on."""
    return answer(await shown(await sim.control.reset(video_translation_id), context))


@router.post("/reset", response_model=Answer[Erased])
async def reset(sim: Sim, _: Nothing | None = None) -> Response:
    """Delete jobs, events, endpoints and deliveries of every workspace; faults, settings and seed as at the start."""
    await sim.control.erase()
    return answer({"reset": True})


@router.get("/config", response_model=Answer[ConfigAnswer])
async def config(sim: Sim) -> Response:
    """The settings that may be changed while the server runs."""
    return answer(sim.conduct.config())


@router.patch("/config", response_model=Answer[ConfigAnswer])
async def configure(request: ConfigRequest, sim: Sim) -> Response:
    """Change settings for the jobs to come; what is not named stays."""
    sim.conduct.configure(request.model_dump(exclude_unset=True))
    return answer(sim.conduct.config())


@router.get("/seed", response_model=Answer[SeedAnswer])
async def seed(sim: Sim) -> Response:
    """The seed in force."""
    return answer({"seed": sim.conduct.seed})


@router.post("/seed", response_model=Answer[SeedAnswer])
async def sow(request: SeedRequest, sim: Sim) -> Response:
    """Begin anew with a seed: fates and chance from its beginning, ids that there have not been before."""
    await sim.conduct.sow(request.seed)
    return answer({"seed": sim.conduct.seed})


@router.post("/faults", response_model=Answer[FaultAnswer])
async def add_fault(request: FaultRequest, sim: Sim) -> Response:
    """Let answers or deliveries go wrong from here on."""
    return answer(asdict(sim.faults.add(**request.model_dump())))


@router.get("/faults", response_model=Page[FaultAnswer])
async def faults(sim: Sim) -> Response:
    """The rules that can still happen, the oldest first."""
    return page([asdict(fault) for fault in sim.faults.rules], None)


@router.delete("/faults/{fault_id}", response_model=Page[FaultAnswer])
async def remove_fault(fault_id: str, sim: Sim) -> Response:
    """Take a rule back; the answer is the others."""
    if not sim.faults.remove(fault_id):
        raise NotFoundError(f"no fault {fault_id}; GET /_sim/faults lists them", param="fault_id")
    return await faults(sim)


@router.get("/requests", response_model=Page[AskedAnswer])
async def requests(sim: Sim) -> Response:
    """The last requests to the API, at most 1000, the oldest first."""
    return page([asdict(asked) | {"at": iso_time(asked.at)} for asked in sim.faults.journal], None)


async def _clock(sim: Simulator) -> dict[str, Any]:
    now, going = sim.clock.now(), sim.clock.speed
    return {
        "now": iso_time(now),
        "frozen": not going,
        "speed": going,
        "offset_seconds": round(now - time.time(), 3),
        "next_due_at": maybe_iso_time(await sim.timeline.next_due()),
    }
