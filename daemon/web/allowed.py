"""What a field of a body or query may hold, in words."""

import msgspec
from msgspec import inspect

_PLAIN: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.NoneType: "null",
    inspect.DictType: "an object",
    inspect.StructType: "an object",
}


def problem_in(error: msgspec.ValidationError, kind: object) -> str:
    """Return what *error* says of a value that should be a *kind*, with what is allowed.

    msgspec names types of Python; of limits, such as ``>= 1``, it tells in words that do.
    """
    said = str(error)
    is_of_kind = said.startswith("Expected `") and ", got `" in said
    if is_of_kind or said.startswith("Invalid enum value"):
        return f"must be {_allowed(inspect.type_info(kind))}"
    return said


def _allowed(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner):
            return _allowed(inner)
        case inspect.UnionType(types=kinds):
            return " or ".join(map(_allowed, kinds))
        case inspect.EnumType(cls=enum):
            return "one of " + ", ".join(str(each.value) for each in enum)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"a list, each {_allowed(item)}"
        case _:
            return _PLAIN.get(type(kind), "of another kind")
