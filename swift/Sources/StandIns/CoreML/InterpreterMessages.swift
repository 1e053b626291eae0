import Foundation

// Messages of py/src/htdemucs_coreml/mil/serving.py, where the protocol is described.

/// An input or output of a package, and in messages where its bytes are.
struct InterpreterValue: Codable, Sendable {
  let name: String
  let dtype: String
  let shape: [Int]
  var strides: [Int]?
  var bytes: Int?

  var dataType: MLMultiArrayDataType? {
    switch dtype {
    case "float16": .float16
    case "float32": .float32
    case "int32": .int32
    default: nil
    }
  }

  var shapeNumbers: [NSNumber] { shape.map { NSNumber(value: $0) } }
}

/// What a package takes and gives.
struct InterpreterInterface: Codable, Sendable {
  let inputs: [InterpreterValue]
  let outputs: [InterpreterValue]
}

/// A request for a prediction, which the bytes of every input follow.
struct InterpreterRequest: Encodable {
  let inputs: [InterpreterValue]
}

/// What the interpreter says, one of three things.
///
/// The bytes of every output follow it.
struct InterpreterReply: Decodable {
  let ready: InterpreterInterface?
  let outputs: [InterpreterValue]?
  let error: String?
}

extension MLMultiArrayDataType {
  /// The type's name in messages, if it can occur in them.
  var messageName: String? {
    switch self {
    case .float16: "float16"
    case .float32: "float32"
    case .int32: "int32"
    case .double: nil
    }
  }
}

/// An input, copied for a request.
struct InterpreterInput: Sendable {
  let value: InterpreterValue
  let bytes: [UInt8]
}

/// An output as it came, in memory that whoever takes it has to free.
///
/// `@unchecked`: raw memory is never sendable to the compiler; one task at a time has it.
final class InterpreterOutput: @unchecked Sendable {
  let value: InterpreterValue
  private var memory: UnsafeMutableRawBufferPointer?

  init(value: InterpreterValue, memory: UnsafeMutableRawBufferPointer) {
    self.value = value
    self.memory = memory
  }

  deinit { memory?.deallocate() }

  /// The output as an array that owns the memory; to be called once.
  func multiArray() throws -> MLMultiArray {
    guard let start = memory?.baseAddress, let dataType = value.dataType, let strides = value.strides else {
      preconditionFailure("an output is taken once, after it was checked")
    }
    let array = try MLMultiArray(
      dataPointer: start, shape: value.shapeNumbers, dataType: dataType,
      strides: strides.map { NSNumber(value: $0) }, deallocator: { $0.deallocate() })
    memory = nil
    return array
  }
}
