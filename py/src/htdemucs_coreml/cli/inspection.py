"""What ``inspect`` says of a package, as one object; its keys are documented in ``docs/inspect.md``."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from htdemucs_coreml.convert.operation_names import CORE_SCOPE, block_of
from htdemucs_coreml.mil import Analysis, analyse
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.analysis import Costs, operation_multiply_adds
from htdemucs_coreml.mil.neural_engine import Finding, check
from htdemucs_coreml.package.reader import Package, read_package

DESIGN_MEMORY_BYTES = 2_000_000_000
"""What the source design allows the values between operations on a phone."""


@dataclass(frozen=True)
class Inspection:
    """A package and what was found in its program.

    Attributes
    ----------
    package : Package
        The package, checked.
    depth : int
        How many modules of an operation's path make the name of its block.
    analysis : Analysis
        Figures of the program and of its blocks.
    findings : tuple of Finding
        For each rule of the Neural Engine, the operations that break it.
    operations_within, multiply_adds_within : int
        Of the operations that no uncontested rule sends elsewhere.
    """

    package: Package
    depth: int
    analysis: Analysis
    findings: tuple[Finding, ...]
    operations_within: int
    multiply_adds_within: int


def inspect_package(path: Path, depth: int) -> Inspection:
    """Read and check a package and look at its program.

    Parameters
    ----------
    path : Path
        The package.
    depth : int
        How many modules of an operation's path make the name of its block, at least 1.

    Raises
    ------
    PackageError, MILError
        If the package is damaged or its program cannot be read.
    """
    package = read_package(path)
    program = read_program(path)
    analysis = analyse(program, lambda name: block_name(name, depth))
    findings = check(program)
    elsewhere = {
        name
        for finding in findings
        if finding.rule.effect == "elsewhere" and not finding.rule.contested
        for name in finding.operations
    }
    within = [operation for operation in program.main.operations if operation.name not in elsewhere]
    multiply_adds = sum(map(operation_multiply_adds, within))
    return Inspection(package, depth, analysis, findings, len(within), multiply_adds)


def block_name(operation: str, depth: int) -> str:
    """Name of the block of an operation: at most so many modules of its path, joined by dots."""
    path = block_of(operation)
    # A cast is named after the operation whose result it takes.
    return CORE_SCOPE if path[:1] in ((), (CORE_SCOPE,)) else ".".join(path[:depth])


def broken_by_block(finding: Finding, depth: int) -> dict[str, int]:
    """Count the operations that break a rule in each block, most first."""
    return dict(Counter(block_name(operation, depth) for operation in finding.operations).most_common())


def figures(inspection: Inspection, largest: int, first: int) -> dict[str, Any]:
    """Return the object that ``--json`` prints.

    Parameters
    ----------
    inspection : Inspection
        Of a package.
    largest : int
        How many of the largest constants to list.
    first : int
        How many of the operations that break a rule to name.
    """
    package, analysis = inspection.package, inspection.analysis
    return {
        "model": package.metadata.model,
        "variant": package.metadata.variant,
        "sha256": package.digest,
        "bytes": package.bytes,
        **_costs(analysis, inspection.depth),
        "operations_by_type": dict(analysis.operations_by_type),
        "operations_by_dtype": {dtype.value.lower(): count for dtype, count in analysis.operations_by_dtype.items()},
        "multiply_adds_by_type": {
            f"{operation} {dtype.value.lower()}": count for (operation, dtype), count in analysis.multiply_adds.items()
        },
        "design_memory_bytes": DESIGN_MEMORY_BYTES,
        "blocks": {block: _costs(costs, inspection.depth) for block, costs in analysis.blocks.items()},
        "largest_constants": [
            {
                "name": constant.name,
                "type": str(constant.type),
                "bytes": constant.stored_bytes,
                "unpacked_bytes": constant.bytes,
                "unpacked_by": list(constant.unpacked_by),
            }
            for constant in sorted(analysis.constants, key=lambda one: (-one.stored_bytes, one.name))[:largest]
        ],
        "neural_engine": {
            "operations_within": inspection.operations_within,
            "multiply_adds_within": inspection.multiply_adds_within,
            "rules": [_finding(finding, inspection.depth, first) for finding in inspection.findings],
        },
    }


def _costs(costs: Costs, depth: int) -> dict[str, Any]:
    peak = costs.peak_memory
    return {
        "operations": costs.operations,
        "casts": costs.casts,
        "multiply_adds": sum(costs.multiply_adds.values()),
        "multiply_adds_by_dtype": {dtype.value.lower(): count for dtype, count in costs.multiply_adds_by_dtype.items()},
        "float16_share": costs.float16_share,
        "constant_bytes": costs.constant_bytes,
        "unpacked_constant_bytes": costs.unpacked_constant_bytes,
        "peak_memory": {
            "bytes": peak.bytes,
            "operation": peak.operation,
            "block": block_name(peak.operation, depth),
        },
    }


def _finding(finding: Finding, depth: int, first: int) -> dict[str, Any]:
    rule = finding.rule
    return {
        "id": rule.id,
        "statement": rule.statement,
        "measures": rule.measures,
        "effect": rule.effect,
        "origin": rule.origin,
        "sources": list(rule.sources),
        "contested": list(rule.contested),
        "operations": len(finding.operations),
        "blocks": broken_by_block(finding, depth),
        "first": list(finding.operations[:first]),
    }
