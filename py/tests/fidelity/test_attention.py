import pytest

from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.fidelity.attention import ATTENTION_VARIANTS, with_float32_attention
from htdemucs_coreml.precision.plans import FloatType, PlacedOperation

ATTENTION = PlacedOperation(("frequency_transformer_1", "self_attn"), "scaled_dot_product_attention")


@pytest.mark.parametrize("name", ATTENTION_VARIANTS)
def test_attention_becomes_float32_and_nothing_else_changes(name: str) -> None:
    variant = variants()[f"{name}-7_8s"]
    changed = with_float32_attention(variant)
    assert changed.name == f"{name}-attention-float32-7_8s"
    assert changed.segment_samples == variant.segment_samples
    assert changed.plan.type_of(ATTENTION) is FloatType.FLOAT32
    for kind in ("linear", "layer_norm"):
        other = PlacedOperation(ATTENTION.block, kind)
        assert changed.plan.type_of(other) is variant.plan.type_of(other)


def test_attention_is_float16_in_the_variants_that_the_question_is_about() -> None:
    for name in ATTENTION_VARIANTS:
        assert variants()[f"{name}-7_8s"].plan.type_of(ATTENTION) is FloatType.FLOAT16
