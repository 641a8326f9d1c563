"""From the queue to the receiver: `worker` claims and settles, `attempt` is one pipe of sign, send, judge.

What a verdict does to a delivery is the store's business, how bytes travel is `outbound`'s.
"""
