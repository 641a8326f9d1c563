from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_translation_client import UnexpectedResponseError
from video_translation_client._sse import Message, SseParser


def parsed(*chunks: bytes) -> list[Message]:
    parser = SseParser()
    return [message for chunk in chunks for message in parser.feed(chunk)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_in_three_ways(end: bytes) -> None:
    stream = end.join([b"id: cur_1", b"event: e", b"data: one", b"data: two", b"", b"data: three", b"", b""])
    assert parsed(stream) == [Message("e", "one\ntwo", "cur_1"), Message("message", "three", "cur_1")]


def test_the_standards_examples() -> None:
    assert parsed(b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n") == [
        Message("message", "first event", "1"),
        Message("message", "second event", ""),
        Message("message", " third event", ""),
    ]
    assert parsed(b"data\n\ndata\ndata\n\ndata:") == [Message("message", "", ""), Message("message", "\n", "")]
    assert parsed(b"data:test\n\ndata: test\n\n") == [Message("message", "test", "")] * 2


def test_a_byte_order_mark_is_dropped_at_the_start_and_nowhere_else() -> None:
    mark = b"\xef\xbb\xbf"
    assert parsed(mark[:1], mark[1:] + b"data: x\n\n") == [Message("message", "x", "")]
    assert parsed(b"\n" + mark + b"data: x\n\n") == []


def test_an_id_with_a_nul_is_ignored_and_one_without_data_counts() -> None:
    parser = SseParser()
    assert parser.feed(b"id: cur_7\n\n") == []
    assert parser.last_id == "cur_7"
    assert parser.feed(b"id: a\0b\ndata: x\n\n") == [Message("message", "x", "cur_7")]


def test_an_id_counts_once_its_message_is_complete() -> None:
    parser = SseParser()
    parser.feed(b"id: cur_1\ndata: x\n\nid: cur_2\ndata: y\n")
    assert parser.last_id == "cur_1"
    parser.feed(b"\n")
    assert parser.last_id == "cur_2"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"retry: 1500", 1.5),
        (b"retry: 1.5", None),
        (b"retry:", None),
        (b"retry: -1", None),
        (b"retry: " + b"9" * 99, None),
    ],
)
def test_retry_is_digits_or_nothing(line: bytes, expected: float | None) -> None:
    parser = SseParser()
    parser.feed(line + b"\n")
    assert parser.retry == expected


def test_comments_unknown_fields_and_broken_text_harm_nobody() -> None:
    assert parsed(b": ping\n\nwhat: ever\nevent: gone\n\ndata: \xff\xc3\n\n") == [
        Message("message", "\ufffd\ufffd", "")
    ]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 50, b"data: " + b"x" * 50 + b"\n\n", b"data: 123456789\n" * 5])
def test_what_is_too_long_is_an_error_of_ours(stream: bytes) -> None:
    with pytest.raises(UnexpectedResponseError, match="longer"):
        SseParser(max_line=40, max_message=40).feed(stream)


PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b":", b" ", b"data", b"id", b"event", b"retry", b"7", b"\0", b"\xef\xbb\xbf", b"\xc3"]
    )
    | st.binary(max_size=4),
    max_size=30,
)


@settings(deadline=None, max_examples=200)
@given(PIECES, st.lists(st.integers(0, 120), max_size=8))
def test_where_the_bytes_are_cut_changes_nothing(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole, cut_up = SseParser(), SseParser()
    expected = whole.feed(stream)
    got = [m for start, stop in itertools.pairwise(edges) for m in cut_up.feed(stream[start:stop])]
    assert got == expected
    assert (cut_up.last_id, cut_up.retry) == (whole.last_id, whole.retry)
    assert got == _reference(stream)


def _reference(stream: bytes) -> list[Message]:
    """The standard's words, done on the whole text at once."""
    text = stream.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    messages, data, kind, last_id = [], "", "", ""
    for line in text.split("\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                messages.append(Message(kind or "message", data[:-1], last_id))
            data, kind = "", ""
        elif name == "data":
            data += value + "\n"
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
    return messages
