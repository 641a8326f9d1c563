"""The Python client for video-translation jobs: push first, with a poll behind it.

The public names are listed in `_public` and loaded when one of them is first asked for, so that the command line
need not load what it does not use.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video_translation_client._public import *  # noqa: F403 - exactly the names of its `__all__`
    from video_translation_client._public import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        if name == "__all__" or not name.startswith("_"):
            public = importlib.import_module("video_translation_client._public")
            if name == "__all__" or name in public.__all__:
                globals()[name] = getattr(public, name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})


__version__ = "0.1.0"

# A library is silent until the program says where logs go: logging.basicConfig(level="INFO", ...).
logging.getLogger("video_translation_client").addHandler(logging.NullHandler())
