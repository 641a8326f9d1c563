"""Video, audio and captions: what an uploaded file is, and the files of a completed job.

Files are read and written by child processes (`studio`): a decoder that a file brings down takes nothing else along.
Who may fetch what is `links`' and the API's business.
"""

from video_translation_server.media.gallery import Gallery
from video_translation_server.media.recipe import Recipe
from video_translation_server.media.studio import Studio
from video_translation_server.media.tasks import Footage

__all__ = ["Footage", "Gallery", "Recipe", "Studio"]
