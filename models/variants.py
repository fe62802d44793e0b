"""From `model_param`, as an operator writes it, to the variants that are trained.

Its keys are the hyper-parameters of the kind, `resampling`, `samplingStrategy`, `classWeight` and
`grid`: a map from any of the others to a list of values. The combinations of the grid are numbered
from 1 as nested loops would run them, the first name written being the outermost loop: the last
name varies fastest.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from configs.errors import BadParameter, NotFound
from configs.json_object import read_object
from models import kind, resampling
from models.hyperparameters import Either, Null, Real, Spec, Table, Word, read, unknown
from models.kind import Kind
from models.weights import ClassWeight

MOST = 10_000
"""Variants of one row of dc_model_list; more is surely a slip."""

_WEIGHT = Real(0, above=True)
OWN: dict[str, Spec] = {
    "resampling": resampling.METHOD,
    "samplingStrategy": resampling.STRATEGY,
    "classWeight": Either(
        Word("balanced"), Table({"0": _WEIGHT, "1": _WEIGHT}, {"0": 1.0, "1": 1.0}), Null()
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One model to train. `params` are complete: what was not given has its default."""

    model_sub_no: int
    params: dict[str, Any]
    resampling: str
    sampling_strategy: float | str | None
    class_weight: ClassWeight | None


def expand(model_param: str | None, model_id: str, *, model_no: int) -> tuple[Variant, ...]:
    """The variants of one row of dc_model_list, in order of their model_sub_no.

    Raises:
        BadParameter: naming the model_no, the key and what is allowed.
        NotFound: there is no such model_id.
    """
    try:
        of = kind.find(model_id)
    except NotFound as error:
        raise NotFound(f"model_no {model_no}: {error}") from error
    name = f"model_no {model_no}: model_param"
    given = _read(model_param, name)
    try:
        grid = given.pop("grid", {})
        _check_names(model_id, of, given, grid)
        variants = tuple(
            _variant(number, of, {**given, **choice})
            for number, choice in enumerate(_combinations(grid), start=1)
        )
        if "samplingStrategy" in {*given, *grid} and all(v.resampling == "none" for v in variants):
            raise BadParameter("samplingStrategy says nothing without resampling")
    except BadParameter as error:
        raise BadParameter(f"{name}: {error}") from error
    return variants


def named(model_param: str | None) -> frozenset[str]:
    """The keys that a `model_param` which can be expanded gives, by themselves or in its grid."""
    given = _read(model_param, "model_param")
    return frozenset({*given, *given.get("grid", {})} - {"grid"})


def _read(model_param: str | None, name: str) -> dict[str, Any]:
    if model_param is not None and model_param.strip() == "null":
        return {}
    return read_object(model_param, name, '{"n_estimators": 300}')


def _check_names(model_id: str, of: Kind, given: Mapping[str, Any], grid: object) -> None:
    if not isinstance(grid, dict):
        raise BadParameter('grid must be an object, such as {"max_depth": [3, 5]}')
    known = {*of.PARAMETERS, *OWN}
    for name in given:
        if name not in known:
            raise unknown(name, model_id, {*known, "grid"})
    for name, values in grid.items():
        if name not in known:
            raise unknown(name, model_id, known)
        if name in given:
            raise BadParameter(f"{name} stands both in grid and beside it")
        if not isinstance(values, list) or not values:
            raise BadParameter(f"grid: {name} needs a list of one or more values")
    size = math.prod(len(values) for values in grid.values())
    if size > MOST:
        raise BadParameter(f"grid has {size} combinations; at most {MOST} are allowed")


def _combinations(grid: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _variant(number: int, of: Kind, given: Mapping[str, Any]) -> Variant:
    method = read("resampling", OWN["resampling"], given.get("resampling", "none"))
    strategy = read("samplingStrategy", OWN["samplingStrategy"], given.get("samplingStrategy"))
    resampling.check(method, strategy)
    return Variant(
        model_sub_no=number,
        params=of.check({name: value for name, value in given.items() if name not in OWN}),
        resampling=method,
        sampling_strategy=None if method == "none" else strategy,
        class_weight=read("classWeight", OWN["classWeight"], given.get("classWeight")),
    )
