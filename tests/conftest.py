"""How long the property tests search: some hundred examples in `make test`, many more with the profile `fuzz`."""

from hypothesis import HealthCheck, settings

settings.register_profile("bounded", deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bounded")
