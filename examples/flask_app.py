"""A Flask service that takes the pushes in a view of its own: `make run`, then `python -m examples.flask_app`.

`curl -X POST localhost:9000/translate` starts a job; its transitions are printed, and served at `/jobs/<id>`.
"""

import os
import threading
from collections import defaultdict

from flask import Flask
from werkzeug.serving import make_server

from video_translation_client import Event, VideoTranslationClient
from video_translation_client.integrations.flask import webhook_view

PATH = "/webhooks/video-translation"
client = VideoTranslationClient()  # http://localhost:8000, or VIDEO_TRANSLATION_BASE_URL
seen: defaultdict[str, list[str]] = defaultdict(list)

app = Flask(__name__)
app.add_url_rule(PATH, view_func=webhook_view(client.webhook_receiver))


@client.on_event
def note(event: Event) -> None:
    """Runs on the client's own thread, after the delivery was answered."""
    seen[event.job.id].append(event.job.status)
    print(event.job.id, event.job.status, flush=True)


@app.post("/translate")
def translate() -> dict[str, str]:
    """Start a job."""
    (job,) = client.translate("https://example.com/talk.mp4", "French")
    return {"job": job.id}


@app.get("/jobs/<job_id>")
def show(job_id: str) -> list[str]:
    """The transitions of a job, as they were pushed."""
    return seen[job_id]


def main() -> None:
    """Serve until Ctrl-C; first the socket, then the registration."""
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "9000")), app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    with client, client.register_webhook(url=f"http://127.0.0.1:{server.port}{PATH}") as registration:
        print("Receiving at", registration.url, flush=True)
        serving.join()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
