"""What the catalogue does when a translation ends, fails, takes long, or its news does not get through."""

from examples.consumer_app.catalogue import Catalogue
from examples.consumer_app.tests.conftest import Receiver
from video_translation_client import VideoTranslationClient
from video_translation_server.testing import TranslationServer

VIDEO = "https://example.com/talk.mp4"


def test_a_talk_is_shown_when_its_translation_is_done(
    catalogue: Catalogue, translation_server: TranslationServer
) -> None:
    """Submit, complete, be pushed."""
    job = catalogue.add("Keynote", VIDEO, "German")
    assert catalogue.shown == {}
    translation_server.complete(job)
    assert catalogue.wait_for("Keynote")
    translation_server.wait_for_delivery(job, event_type="video_translate.success")


def test_a_talk_that_fails_is_a_problem_with_its_reason(
    catalogue: Catalogue, translation_server: TranslationServer
) -> None:
    """The reason is the service's."""
    job = catalogue.add("Silence", VIDEO, "German")
    translation_server.fail(job, "The video has no audio track")
    assert not catalogue.wait_for("Silence")
    assert catalogue.problems == {"Silence": "The video has no audio track"}


def test_an_hour_of_translating_takes_no_time(catalogue: Catalogue, translation_server: TranslationServer) -> None:
    """Nothing happens until the clock is moved; then all of it does."""
    job = catalogue.add("Long talk", VIDEO, "French")
    translation_server.advance(3000)
    assert catalogue.wait_for("Long talk")
    assert [one.sequence for one in translation_server.deliveries if one.job_id == job] == [1, 2, 3]


def test_a_partner_that_was_down_is_told_again(
    translation_client: VideoTranslationClient, translation_server: TranslationServer, receiver: Receiver
) -> None:
    """Two failures, and minutes later the news is there."""
    receiver.answers = [500, 503]
    translation_client.webhooks.create(receiver.url, events=["video_translate.success"])
    (job,) = translation_client.translate(VIDEO, "German")
    translation_server.complete(job)
    translation_server.wait_for_delivery(job, state="due")
    translation_server.advance(300)
    assert translation_server.wait_for_delivery(job).attempts == 3


def test_whoever_waits_for_a_job_gets_its_result(
    translation_client: VideoTranslationClient, translation_server: TranslationServer
) -> None:
    """The client asks where nobody pushes."""
    (job,) = translation_client.translate(VIDEO, "German")
    translation_server.complete(job)
    assert job.result(timeout=10).video_url
