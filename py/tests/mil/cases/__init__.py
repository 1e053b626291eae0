"""Every operation with random shapes and parameters, and what it means in NumPy's terms.

References are computed in float64 from the definitions in coremltools' documentation of each operation,
without torch.
"""

from mil.cases import convolution, elementwise, linear, normalization, reduction, shape
from mil.cases.case import Case, CaseMaker

CASES: dict[str, CaseMaker] = {
    **elementwise.CASES,
    **reduction.CASES,
    **convolution.CASES,
    **linear.CASES,
    **normalization.CASES,
    **shape.CASES,
}

__all__ = ["CASES", "Case", "CaseMaker"]
