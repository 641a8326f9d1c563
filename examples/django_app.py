"""A Django project in one file that takes the pushes in a view: `make run`, then `python -m examples.django_app`.

`curl -X POST localhost:9000/translate` starts a job; its transitions are printed, and served at `/jobs/<id>`.
"""

import os
import threading
from collections import defaultdict

from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from video_translation_client import Event, VideoTranslationClient
from video_translation_client.integrations.django import webhook_view

PATH = "webhooks/video-translation"
client = VideoTranslationClient()  # http://localhost:8000, or VIDEO_TRANSLATION_BASE_URL
seen: defaultdict[str, list[str]] = defaultdict(list)

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],  # the webhook view is exempt
)


@client.on_event
def note(event: Event) -> None:
    """Runs on the client's own thread, after the delivery was answered."""
    seen[event.job.id].append(event.job.status)
    print(event.job.id, event.job.status, flush=True)


@csrf_exempt
def translate(_: HttpRequest) -> JsonResponse:
    """Start a job."""
    (job,) = client.translate("https://example.com/talk.mp4", "French")
    return JsonResponse({"job": job.id})


def show(_: HttpRequest, job_id: str) -> JsonResponse:
    """The transitions of a job, as they were pushed."""
    return JsonResponse(seen[job_id], safe=False)


urlpatterns = [
    path(PATH, webhook_view(client.webhook_receiver)),
    path("translate", translate),
    path("jobs/<job_id>", show),
]


def main() -> None:
    """Serve until Ctrl-C; first the socket, then the registration."""
    server = ThreadedWSGIServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), WSGIRequestHandler)
    server.set_app(get_wsgi_application())
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    with client, client.register_webhook(url=f"http://127.0.0.1:{server.server_port}/{PATH}") as registration:
        print("Receiving at", registration.url, flush=True)
        serving.join()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
