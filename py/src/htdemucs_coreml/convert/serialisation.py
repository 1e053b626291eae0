"""From a program in coremltools' memory to the message and the weight file of a package.

coremltools' exporter walks the program. What it leaves to a compiled library, the weight file, is the project's own, so
that a conversion needs nothing but Python of it.
"""

import coremltools
from coremltools.converters.mil.backend.mil.helper import create_file_value_tensor, types_to_proto_primitive
from coremltools.converters.mil.backend.mil.load import CoreMLProtoExporter, MILProtoExporter
from coremltools.converters.mil.mil import Program, Var, types
from coremltools.proto import MIL_pb2, Model_pb2

from htdemucs_coreml.package.layout import WEIGHT_REFERENCE
from htdemucs_coreml.package.weight_file import ElementType, WeightFile


def serialised(program: Program, specification_version: int) -> tuple[Model_pb2.Model, WeightFile]:
    """The model message of a program, and the file of the large constants that it refers to.

    Parameters
    ----------
    program : Program
        A program that coremltools' passes are done with. Its constants' arrays are shared with the weight file.
    specification_version : int
        Version of Core ML's specification; 9 for iOS 18.
    """
    exporter = _Exporter(program, specification_version)
    model: Model_pb2.Model = CoreMLProtoExporter(
        program,
        exporter.export(),
        predicted_feature_name=None,
        predicted_probabilities_name=None,
        classifier_config=None,
        convert_to="mlprogram",
        convert_from="milinternal",
        specification_version=specification_version,
    ).export(specification_version)
    return model, exporter.weights


# coremltools has no types.
class _Exporter(MILProtoExporter):  # type: ignore[misc]
    """coremltools' exporter with another weight file.

    Overridden are, of coremltools 9.0, the two methods that name its compiled writer.
    """

    def __init__(self, program: Program, specification_version: int) -> None:
        super().__init__(program, weights_dir="", specification_version=specification_version)
        self.weights = WeightFile()

    def create_file_value(self, var: Var) -> MIL_pb2.Value:
        """Store a constant once and refer to it; functions share those that have the same identifier."""
        identifier = var.op.weight_id or f"{var.op.enclosing_block.name}_{var.name}"
        if identifier not in self.weight_id_to_file_value:
            primitive = var.sym_type.get_primitive() if types.is_tensor(var.sym_type) else var.sym_type
            data_type = types_to_proto_primitive(primitive)
            self.weight_id_to_file_value[identifier] = create_file_value_tensor(
                file_name=WEIGHT_REFERENCE,
                offset=self.weights.add(ElementType[MIL_pb2.DataType.Name(data_type)], var.val),
                dim=var.val.shape,
                data_type=data_type,
            )
        return self.weight_id_to_file_value[identifier]

    def export(self) -> MIL_pb2.Program:
        """The program's message."""
        operation_set = coremltools._OPSET[self.specification_version]
        functions = {
            name: self.convert_function(function, operation_set) for name, function in self.prog.functions.items()
        }
        return MIL_pb2.Program(version=1, functions=functions)
