/// What a `model.mlmodel` says of its inputs and outputs and of itself, read without Core ML and without the program.
///
/// Source of the format: coremltools 9.0, `Model.proto` and `FeatureTypes.proto`.
package struct ModelDescription: Equatable {
  /// An input or output that is an array.
  package struct Feature: Equatable {
    package let name: String
    package let shape: [Int]
    package let isFloat32: Bool
  }

  let inputs: [Feature]
  let outputs: [Feature]
  /// The metadata's `userDefined` entries.
  let userDefined: [String: String]
  let isProgram: Bool

  private static let float32: UInt64 = 65_568
  /// Core ML has arrays of up to five axes.
  private static let mostAxes = 5

  /// Parses a serialised model.
  ///
  /// - Parameter serialised: The bytes of a `model.mlmodel`.
  /// - Throws: `ProtobufReader.Malformed`.
  init(serialised: [UInt8]) throws {
    var inputs: [Feature] = []
    var outputs: [Feature] = []
    var userDefined: [String: String] = [:]
    var isProgram = false
    try ProtobufReader.forEachField(of: serialised[...]) { field, value in
      switch field {
      case 2:
        try ProtobufReader.forEachField(of: ProtobufReader.message(value)) { field, value in
          switch field {
          case 1: inputs.append(try Self.feature(ProtobufReader.message(value)))
          case 10: outputs.append(try Self.feature(ProtobufReader.message(value)))
          case 100: try Self.addUserDefined(ProtobufReader.message(value), to: &userDefined)
          default: break
          }
        }
      case 502: isProgram = true
      default: break
      }
    }
    self.inputs = inputs
    self.outputs = outputs
    self.userDefined = userDefined
    self.isProgram = isProgram
  }

  private static func feature(_ message: ArraySlice<UInt8>) throws -> Feature {
    var name = ""
    var shape: [Int] = []
    var type: UInt64 = 0
    try ProtobufReader.forEachField(of: message) { field, value in
      switch field {
      case 1: name = try ProtobufReader.string(value)
      case 3:
        try ProtobufReader.forEachField(of: ProtobufReader.message(value)) { field, value in
          guard field == 5 else { return }
          try ProtobufReader.forEachField(of: ProtobufReader.message(value)) { field, value in
            switch field {
            case 1:
              shape += try ProtobufReader.varints(value).map { Int(truncatingIfNeeded: $0) }
              guard shape.count <= mostAxes else {
                throw ProtobufReader.Malformed(reason: "an array has \(shape.count) axes")
              }
            case 2: type = try ProtobufReader.varints(value).last ?? 0
            default: break
            }
          }
        }
      default: break
      }
    }
    return Feature(name: name, shape: shape, isFloat32: type == float32)
  }

  private static func addUserDefined(_ metadata: ArraySlice<UInt8>, to table: inout [String: String]) throws {
    try ProtobufReader.forEachField(of: metadata) { field, value in
      guard field == 100 else { return }
      var (key, text) = ("", "")
      try ProtobufReader.forEachField(of: ProtobufReader.message(value)) { field, value in
        switch field {
        case 1: key = try ProtobufReader.string(value)
        case 2: text = try ProtobufReader.string(value)
        default: break
        }
      }
      table[key] = text
    }
  }
}
