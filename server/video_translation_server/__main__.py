"""`python -m video_translation_server`: the command line."""

from video_translation_server.cli.program import main

main()
