"""The command `video-translation-server`: each module holds the commands of one noun, `program` puts them together.

`serve` is the server; `start` and `stop` look after one in the background; all others are calls of a running server's
API. What costs time to import (the settings, the server, HTTP) is imported when a command runs.
"""
