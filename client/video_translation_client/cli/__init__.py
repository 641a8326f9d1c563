"""The command `video-translation`: each module holds the commands of one noun, `program` puts them together.

The commands only read arguments and show answers; everything else is done by the public client. What costs time to
import (the client, rich) is imported when a command runs, so that `--help` and completion answer at once.
"""
