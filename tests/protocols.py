"""Whether modules and objects have what a protocol asks."""

from collections.abc import Mapping


def lacking(protocol: type, found: Mapping[str, object]) -> str:
    """What things lack, by the names given to them; empty: nothing."""
    asked = [name for name in (*protocol.__annotations__, *vars(protocol)) if name[0] != "_"]
    return "\n".join(
        f"{what} has no {name}, which {protocol.__module__}.{protocol.__name__} asks for"
        for what, thing in found.items()
        for name in asked
        if not hasattr(thing, name)
    )
