"""Functions that a config names: found, their options checked, called as they are."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hydra.utils import get_method

from lineage.errors import TactError


def function(
    settings: Mapping[str, Any], *, where: str, without: tuple[str, ...] = ()
) -> partial[Any]:
    """The ``_target_`` of ``settings`` with its options bound, but those in ``without``.

    TactError names ``where``, the option and the fix.
    """
    target = settings.get("_target_")
    if not target:
        raise TactError(f"{where}: needs a _target_ (module.function)")
    options = {k: v for k, v in settings.items() if k not in ("_target_", *without)}
    try:
        found: Callable[..., Any] = get_method(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise TactError(
            f"{where}._target_={target}: not found ({reason}); is its package on PYTHONPATH?"
        ) from error
    known = inspect.signature(found).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
    odd = [k for k in options if k not in known]
    if odd and not takes_all:
        raise TactError(f"{where}.{odd[0]}: {target} takes no such option; it takes {list(known)}")
    missing = [k for k, v in options.items() if v == "???"]
    if missing:
        raise TactError(f"{where}.{missing[0]}: give it a value")
    return partial(found, **options)
