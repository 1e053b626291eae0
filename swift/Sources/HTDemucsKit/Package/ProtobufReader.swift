/// Reads the fields of one serialised protobuf message, as far as a package's description needs them.
///
/// Only the shape of the wire format is checked; what a field means is the caller's. Every length is checked against
/// what is left, so that no input can make it read further. Source: protobuf.dev, "Encoding".
struct ProtobufReader {
  /// A field's value, by its wire type.
  enum Value {
    case varint(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// Fixed-width numbers, which no field that is read here has.
    case fixed
  }

  struct Malformed: Error, Equatable {
    let reason: String
  }

  /// More than any list of a package's description has; without a limit, a list takes eight times its bytes in memory.
  private static let mostNumbers = 64

  private var rest: ArraySlice<UInt8>

  init(_ message: ArraySlice<UInt8>) {
    rest = message
  }

  /// The next field's number and value, or nil at the message's end.
  mutating func next() throws -> (field: Int, value: Value)? {
    guard !rest.isEmpty else { return nil }
    let key = try varint()
    let field = Int(key >> 3)
    guard key >> 3 >= 1, key >> 3 < 1 << 29 else { throw Malformed(reason: "there is no field \(key >> 3)") }
    switch key & 7 {
    case 0: return (field, .varint(try varint()))
    case 1:
      _ = try bytes(8)
      return (field, .fixed)
    case 2:
      let count = try varint()
      guard count <= rest.count else { throw Malformed(reason: "field \(field) is cut short") }
      return (field, .bytes(try bytes(Int(count))))
    case 5:
      _ = try bytes(4)
      return (field, .fixed)
    default: throw Malformed(reason: "field \(field) has an unknown wire type \(key & 7)")
    }
  }

  /// Calls `body` with every field of a message.
  static func forEachField(of message: ArraySlice<UInt8>, _ body: (Int, Value) throws -> Void) throws {
    var reader = ProtobufReader(message)
    while let (field, value) = try reader.next() { try body(field, value) }
  }

  /// The numbers of a packed field, or the one of a field that is not packed.
  static func varints(_ value: Value) throws -> [UInt64] {
    switch value {
    case .varint(let number): return [number]
    case .bytes(let packed):
      var reader = ProtobufReader(packed)
      var numbers: [UInt64] = []
      while !reader.rest.isEmpty {
        guard numbers.count < mostNumbers else {
          throw Malformed(reason: "a list has more than \(mostNumbers) numbers")
        }
        numbers.append(try reader.varint())
      }
      return numbers
    case .fixed: throw Malformed(reason: "a number has the wrong wire type")
    }
  }

  /// A field that has to be a string.
  static func string(_ value: Value) throws -> String {
    guard case .bytes(let bytes) = value, let string = String(validating: bytes, as: UTF8.self) else {
      throw Malformed(reason: "a text is not UTF-8")
    }
    return string
  }

  /// A field that has to be a message.
  static func message(_ value: Value) throws -> ArraySlice<UInt8> {
    guard case .bytes(let bytes) = value else { throw Malformed(reason: "a message has the wrong wire type") }
    return bytes
  }

  private mutating func varint() throws -> UInt64 {
    var number: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      guard let byte = rest.popFirst() else { throw Malformed(reason: "a number is cut short") }
      number |= UInt64(byte & 0x7F) << UInt64(shift)
      if byte < 0x80 {
        guard shift < 63 || byte <= 1 else { break }
        return number
      }
    }
    throw Malformed(reason: "a number has more than 64 bits")
  }

  private mutating func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
    guard count <= rest.count else { throw Malformed(reason: "a field is cut short") }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }
}
