"""Precision plans of one's own."""

from fuzz.target import Target
from htdemucs_coreml.precision.plans import PlacedOperation, PlanError, parse_plan

_OPERATIONS = (
    PlacedOperation((), "reduce_mean"),
    PlacedOperation(("frequency_encoder_0", "dconv", "0", "1"), "layer_norm"),
    PlacedOperation(("time_transformer_3", "self_attn"), "matmul"),
)


def precision_plan(data: bytes) -> None:
    """A plan's text; standardisation is float32 whatever it says, and matching ends."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    plan = parse_plan("mine", text)
    assert plan.type_of(_OPERATIONS[0]).value == "float32"
    types = [plan.type_of(operation) for operation in _OPERATIONS]
    assert not plan.is_float32 or {found.value for found in types} == {"float32"}
    plan.require_match(_OPERATIONS, "fixture")


TARGETS = (Target("precision_plan", precision_plan, (PlanError,), weight=6),)
