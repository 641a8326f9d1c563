"""When a job moves: `planner` decides a job's fate at its creation, `mover` carries it out as time comes.

What a move makes of a job is `lifecycle`'s business, keeping it the store's.
"""
