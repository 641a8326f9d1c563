"""`python -m video_translation_client` is the command `video-translation`."""

from video_translation_client.cli.program import main

if __name__ == "__main__":
    main()
