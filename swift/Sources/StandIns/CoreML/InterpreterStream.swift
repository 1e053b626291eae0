import Foundation
import Glibc

/// What is wrong with a stream to an interpreter, so that it cannot be used any more.
enum InterpreterStreamError: Error {
  /// The interpreter closed it.
  case closed
  /// Something on it is not of the protocol.
  case malformed(String)
}

/// The host's end of the socket to an interpreter.
struct InterpreterStream: Sendable {
  let descriptor: Int32

  private static let maximumJSONBytes = 1 << 20
  private static let maximumOutputBytes = 1 << 32

  func send(_ inputs: [InterpreterInput]) throws {
    let json = try JSONEncoder().encode(InterpreterRequest(inputs: inputs.map(\.value)))
    var length = UInt64(json.count).littleEndian
    try withUnsafeBytes(of: &length) { try send($0) }
    try json.withUnsafeBytes { try send($0) }
    for input in inputs {
      try input.bytes.withUnsafeBytes { try send($0) }
    }
  }

  func receiveReply() throws -> InterpreterReply {
    var length: UInt64 = 0
    try withUnsafeMutableBytes(of: &length) { try receive($0) }
    length = UInt64(littleEndian: length)
    guard length <= Self.maximumJSONBytes else {
      throw InterpreterStreamError.malformed("a message announces \(length) bytes of JSON")
    }
    var json = Data(count: Int(length))
    try json.withUnsafeMutableBytes { try receive($0) }
    do {
      return try JSONDecoder().decode(InterpreterReply.self, from: json)
    } catch {
      throw InterpreterStreamError.malformed("a message is not of the protocol: \(error)")
    }
  }

  /// The output that a reply announces, compared with what the package declares.
  func receiveOutput(_ value: InterpreterValue, declared: InterpreterValue) throws -> InterpreterOutput {
    guard value.name == declared.name, value.dtype == declared.dtype, value.shape == declared.shape,
      let bytes = value.bytes, bytes > 0, bytes <= Self.maximumOutputBytes, holds(value, bytes: bytes)
    else {
      throw InterpreterStreamError.malformed("output \(declared.name) does not come as declared")
    }
    let memory = AlignedMemory.allocate(bytes: bytes)
    let output = InterpreterOutput(value: value, memory: memory)
    try receive(memory)
    return output
  }

  /// Whether that many bytes hold all elements of a value.
  private func holds(_ value: InterpreterValue, bytes: Int) -> Bool {
    guard let strides = value.strides, let dataType = value.dataType, strides.count == value.shape.count else {
      return false
    }
    var last = 0
    for (length, stride) in zip(value.shape, strides) {
      guard length >= 1, stride >= 0, stride <= bytes, length <= bytes else { return false }
      last += (length - 1) * stride
      guard last < bytes else { return false }
    }
    return (last + 1) * dataType.bytes <= bytes
  }

  private func send(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      // A peer that is gone must not raise SIGPIPE in the host.
      let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
      if count < 0 {
        guard errno == EINTR else { throw InterpreterStreamError.closed }
      } else {
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      }
    }
  }

  private func receive(_ bytes: UnsafeMutableRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let count = Glibc.recv(descriptor, rest.baseAddress, rest.count, 0)
      if count > 0 {
        rest = UnsafeMutableRawBufferPointer(rebasing: rest.dropFirst(count))
      } else if count == 0 || errno != EINTR {
        throw InterpreterStreamError.closed
      }
    }
  }
}
