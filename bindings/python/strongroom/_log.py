"""The log of all stores of the process, as Python's own logging has it."""

from __future__ import annotations

import atexit
import logging
from typing import Any, Optional

from ._errors import check
from ._strongroom import ffi, lib
from ._types import ERROR, text_of

# Beyond DEBUG, as others have it too.
TRACE = 5
LEVELS = (logging.NOTSET, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, TRACE)

_logger: Optional[logging.Logger] = None


@ffi.def_extern()  # type: ignore[untyped-decorator]
def logged(context: Any, level: int, target: Any, target_size: int, text: Any, text_size: int) -> None:
    logger = _logger
    if logger is not None:
        where, said = text_of(target, target_size), text_of(text, text_size)
        logger.log(LEVELS[level], "%s: %s", where, said)


def log_to(logger: Optional[logging.Logger], level: Optional[int] = None) -> None:
    """Has the log of all stores of the process given to a logger, up to a level, the logger's own unless given; None ends it.
    It shows no key, value, or name of a tenant. A handler must not call this package: locks of the store are held."""
    global _logger
    error, most = ffi.new(ERROR), 0
    if logger is not None:
        wanted = logger.getEffectiveLevel() if level is None else level
        most = max((number for number, known in enumerate(LEVELS) if number and known >= wanted), default=0)
    function = lib.logged if most else ffi.NULL
    check(lib.strongroom_log_set(most or 1, function, ffi.NULL, error), error)
    _logger = logger


# No thread of a store's calls Python while it ends.
atexit.register(lambda: log_to(None))
