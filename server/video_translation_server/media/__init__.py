"""Video, audio and captions: what an uploaded file is, and the files of a completed job.

Files are read and written by child processes (`studio`): a decoder that a file brings down takes nothing else along.
Who may fetch what is `links`' and the API's business. Nothing is loaded here: each child would load the studio too.
"""
