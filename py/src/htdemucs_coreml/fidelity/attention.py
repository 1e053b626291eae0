"""The plan of a variant with attention in float32 and all else as it is."""

from dataclasses import replace

from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.precision.plans import FloatType, Rule

ATTENTION_VARIANTS = ("mixed", "float16")
"""Variants, without their suffix, for which attention in float32 is measured, too."""

_SUFFIX = "-attention-float32"
_RULE = Rule(blocks=("*",), operations=("scaled_dot_product_attention",), type=FloatType.FLOAT32)


def with_float32_attention(variant: Variant) -> Variant:
    """A variant whose attention is float32, named after it."""
    plan = variant.plan
    return variant.with_plan(replace(plan, name=plan.name + _SUFFIX, rules=(*plan.rules, _RULE)))
