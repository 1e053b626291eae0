import Foundation

/// A JSON document whose objects keep their order; written as Python's `json.dumps` does, in ASCII.
indirect enum JSONValue: Sendable {
  case null
  case integer(Int)
  /// Finite.
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([(key: String, value: JSONValue)])
  /// A document that is JSON already, on one line.
  case serialised(String)

  /// On one line.
  var line: String { text(indentation: nil, level: 0) }

  /// Indented by two spaces a level.
  var indented: String { text(indentation: 2, level: 0) }

  private func text(indentation: Int?, level: Int) -> String {
    switch self {
    case .null: "null"
    case .integer(let value): "\(value)"
    case .number(let value): Int(exactly: value).map { "\($0)" } ?? "\(value)"
    case .string(let value): Self.quoted(value)
    case .serialised(let document): document
    case .array(let items):
      Self.block(
        "[", "]", items.map { $0.text(indentation: indentation, level: level + 1) }, indentation: indentation,
        level: level)
    case .object(let members):
      Self.block(
        "{", "}",
        members.map { "\(Self.quoted($0.key)): \($0.value.text(indentation: indentation, level: level + 1))" },
        indentation: indentation, level: level)
    }
  }

  private static func block(
    _ open: String, _ close: String, _ parts: [String], indentation: Int?, level: Int
  ) -> String {
    guard let indentation, !parts.isEmpty else { return open + parts.joined(separator: ", ") + close }
    let outer = "\n" + String(repeating: " ", count: indentation * level)
    let inner = outer + String(repeating: " ", count: indentation)
    return open + inner + parts.joined(separator: "," + inner) + outer + close
  }

  /// Source: RFC 8259, section 7.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for unit in text.utf16 {
      switch unit {
      case 0x22: result += "\\\""
      case 0x5C: result += "\\\\"
      case 0x0A: result += "\\n"
      case 0x0D: result += "\\r"
      case 0x09: result += "\\t"
      case 0x20..<0x7F: result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      default: result += "\\u" + hexadecimal(UInt32(unit), digits: 4)
      }
    }
    return result + "\""
  }
}

extension JSONValue {
  /// A duration in seconds, rounded to milliseconds.
  static func seconds(_ value: Double) -> JSONValue { .number((value * 1000).rounded() / 1000) }

  /// A list of names.
  static func strings(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
}
