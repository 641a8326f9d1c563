"""The wire as the server writes it: request and response models, and event bodies frozen once.

`requests` and `responses` are what the API reads and answers; `events` makes the bytes that every
attempt sends. What a field means is in contract/README.md; what is legal for a job is `lifecycle`.
"""
