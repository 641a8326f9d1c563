"""`POST /v3/assets`: a file goes to disk as it comes, and its id stands for it in a translation."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.footage import clip
from tests.server.promises import conforms, refused
from tests.server.rig import JOBS, Rig, serving
from tests.waiting import eventually
from video_translation_server.wire.responses import Answer, AssetAnswer, Created

ASSETS = "/v3/assets"
MP4 = clip(2.5)


def form(content: bytes, name: bytes = b"file", *, boundary: bytes = b"edge") -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="a.mp4"\r\n\r\n' % (boundary, name)
    return head + content + b"\r\n--%b--\r\n" % boundary


AS_FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


def files(rig: Rig) -> list[Path]:
    folder = Path(rig.settings.shelf)
    return sorted(folder.iterdir()) if folder.exists() else []


async def upload(rig: Rig, content: bytes = MP4) -> dict[str, Any]:
    answer = await rig.http.post(ASSETS, files={"file": ("talk.mp4", content)})
    data: dict[str, Any] = conforms(answer, Answer[AssetAnswer])["data"]
    return data


async def test_a_file_lies_beside_the_store_byte_for_byte(rig: Rig) -> None:
    data = await upload(rig)
    assert data == {"asset_id": "asset_1", "mime_type": "video/mp4", "size_bytes": len(MP4), "duration": 2.5}
    [path] = files(rig)
    assert path == Path(f"{rig.settings.store}-assets") / "asset_1"
    assert path.read_bytes() == MP4
    assert path.parent.stat().st_mode & 0o077 == 0, "nobody else may look"


async def test_a_file_may_come_in_any_pieces(rig: Rig, http: httpx.AsyncClient) -> None:
    body = form(MP4 + b"\r\n--edg" + b"\r\n--edges")

    async def drops() -> AsyncIterator[bytes]:
        for index in range(0, len(body), 7):
            yield body[index : index + 7]

    answer = await http.post(ASSETS, content=drops(), headers=AS_FORM)
    conforms(answer, Answer[AssetAnswer])
    assert files(rig)[0].read_bytes() == MP4 + b"\r\n--edg" + b"\r\n--edges"


async def test_its_id_is_a_video_to_translate(rig: Rig, http: httpx.AsyncClient) -> None:
    video = {"type": "asset_id", "asset_id": (await upload(rig))["asset_id"]}
    answer = await http.post(JOBS, json={"video": video, "output_languages": ["English"]})
    conforms(answer, Answer[Created])
    text = {"type": "asset_id", "asset_id": (await upload(rig, b"1\n00:00:00,000 --> 00:00:01,000\nHi\n"))["asset_id"]}
    body = {"video": video, "srt": text, "srt_role": "input", "output_languages": ["English"]}
    conforms(await http.post(JOBS, json=body), Answer[Created])
    refused(await http.post(JOBS, json=body | {"video": text}), 400, "invalid_parameter", "video.asset_id", "neither")
    unknown = {"type": "asset_id", "asset_id": "asset_none"}
    refused(await http.post(JOBS, json=body | {"srt": unknown}), 400, "invalid_parameter", "srt.asset_id")


async def test_another_workspaces_asset_is_unknown(tmp_path: Path) -> None:
    async with serving(tmp_path, require_key=True, admin_key="admin") as rig:
        keys = []
        for name in ("owner", "stranger"):
            admin = {"X-Api-Key": "admin"}
            made = await rig.http.post("/v3/admin/workspaces", json={"name": name}, headers=admin)
            path = f"/v3/admin/workspaces/{made.json()['data']['workspace_id']}/keys"
            keys.append((await rig.http.post(path, headers=admin)).json()["data"]["key"])
        owner, stranger = ({"X-Api-Key": key} for key in keys)
        refused(await rig.http.post(ASSETS, files={"file": MP4}), 401, "unauthorized")
        assert files(rig) == []
        asset = (await rig.http.post(ASSETS, files={"file": MP4}, headers=owner)).json()["data"]["asset_id"]
        body = {"video": {"type": "asset_id", "asset_id": asset}, "output_languages": ["English"]}
        answer = await rig.http.post(JOBS, json=body, headers=stranger)
        refused(answer, 400, "invalid_parameter", "video.asset_id", asset)
        assert (await rig.http.post(JOBS, json=body, headers=owner)).status_code == 200


async def test_the_same_key_keeps_one_file(rig: Rig, http: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "talk"}
    first, again = [await http.post(ASSETS, files={"file": MP4}, headers=headers) for _ in range(2)]
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert [path.name for path in files(rig)] == ["asset_1"]


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (form(b""), "file"),
        (form(MP4, b"video"), "video"),
        (form(MP4)[:-12], "file"),
        (form(MP4, boundary=b"other"), "file"),
        (b"", "file"),
        (b"--edge--\r\n", "file"),
        (form(MP4).replace(b"Content-Disposition", b"X-Other"), "file"),
        (form(MP4)[:-10] + b"\r\n" + form(MP4), "file"),
        (b"\x00" * 1000, "file"),
    ],
    ids=["empty", "name", "cut", "boundary", "nothing", "no part", "no name", "twice", "zeros"],
)
async def test_what_is_no_upload_is_refused_and_leaves_no_file(
    rig: Rig, http: httpx.AsyncClient, content: bytes, param: str
) -> None:
    refused(await http.post(ASSETS, content=content, headers=AS_FORM), 400, "invalid_parameter", param)
    assert files(rig) == []


async def test_a_form_must_say_that_it_is_one_and_where_it_ends(rig: Rig, http: httpx.AsyncClient) -> None:
    for media_type in ("application/json", "video/mp4", ""):
        answer = await http.post(ASSETS, content=form(MP4), headers={"Content-Type": media_type})
        refused(answer, 415, "unsupported_media_type", message="multipart/form-data")
    answer = await http.post(ASSETS, content=form(MP4), headers={"Content-Type": "multipart/form-data"})
    refused(answer, 400, "invalid_parameter", "file", "boundary")
    refused(await http.post(JOBS, files={"file": MP4}), 415, "unsupported_media_type", message="application/json")
    assert files(rig) == []


async def test_a_file_over_the_limit_is_refused_however_it_comes(tmp_path: Path) -> None:
    async with serving(tmp_path, max_asset_bytes=len(MP4)) as rig:
        await upload(rig)
        refused(await rig.http.post(ASSETS, files={"file": MP4 + b"x"}), 413, "request_too_large")
        refused(await rig.http.post(ASSETS, files={"file": MP4 * 200}), 413, "request_too_large")

        async def chunks() -> AsyncIterator[bytes]:
            yield form(MP4 * 200)

        refused(await rig.http.post(ASSETS, content=chunks(), headers=AS_FORM), 413, "request_too_large")
        assert [path.name for path in files(rig)] == ["asset_1"]


async def test_old_files_go_and_what_was_not_finished_goes_at_the_start(tmp_path: Path) -> None:
    async with serving(tmp_path, keep_assets=100) as rig:
        await upload(rig)
        await rig.advance(90)
        await upload(rig)
        await rig.advance(61)
        assert [path.name for path in files(rig)] == ["asset_2"]
        video = {"type": "asset_id", "asset_id": "asset_1"}
        answer = await rig.http.post(JOBS, json={"video": video, "output_languages": ["English"]})
        refused(answer, 400, "invalid_parameter", "video.asset_id")
        (files(rig)[0].parent / "asset_9.part").write_bytes(b"half")
        clock = rig.clock
    async with serving(tmp_path, clock=clock) as rig:
        assert [path.name for path in files(rig)] == ["asset_2"]


async def test_a_file_that_a_crash_left_without_its_row_goes_once_it_is_old(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        await upload(rig)
        await rig.quiet()
        known, clock = files(rig)[0], rig.clock
    stranger, young = known.with_name("asset_lost"), known.with_name("asset_under_way")
    for path in (stranger, young):
        path.write_bytes(MP4)
    for path in (stranger, known):
        os.utime(path, (time.time() - 7200,) * 2)
    async with serving(tmp_path, clock=clock) as rig:
        await rig.quiet()
        await eventually(lambda: not stranger.exists())
        assert [path.name for path in files(rig)] == ["asset_1", "asset_under_way"]
        os.utime(young, (time.time() - 7200,) * 2)
        await rig.advance(3601)
        await eventually(lambda: not young.exists())
        assert [path.name for path in files(rig)] == ["asset_1"]
