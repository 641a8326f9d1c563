"""How long the property tests search: some hundred examples in `make test`, more with the profile `fuzz`.

`make fuzz` repeats rounds with that profile, each with other examples, until its time is over.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("bounded", deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bounded")
