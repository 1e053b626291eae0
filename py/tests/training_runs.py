"""A run that is over in seconds: a small network on short songs."""

import dataclasses
from fractions import Fraction
from types import MappingProxyType

from training.configuration import (
    DEFAULT_CONFIGURATION,
    Configuration,
    Phase,
    Schedule,
    ValidationSettings,
    read_configuration,
)

_NANO = read_configuration(DEFAULT_CONFIGURATION)

SMALL_RUN = dataclasses.replace(
    _NANO,
    architecture=MappingProxyType(
        {**_NANO.architecture, "channels": 8, "t_layers": 1, "dconv_depth": 1, "segment": Fraction(1, 2)}
    ),
    data=dataclasses.replace(_NANO.data, song_seconds=4.0, first_songs=1, steps_per_song=2, window=8),
    schedule=Schedule(warm_up=2, main=Phase(3, 0.3, 2), final=Phase(2, 0.5, 1)),
    validation=ValidationSettings(_NANO.validation.first_seed, 1),
    records=dataclasses.replace(_NANO.records, log_every=1, validate_every=3, save_every=1),
)


def changed(configuration: Configuration = SMALL_RUN, **data: object) -> Configuration:
    """The same run on other data."""
    return dataclasses.replace(configuration, data=dataclasses.replace(configuration.data, **data))  # type: ignore[arg-type]
