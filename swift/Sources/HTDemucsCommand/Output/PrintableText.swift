/// Text of others, such as a package's metadata or a file's name, made safe to print: what does not print, such as line
/// breaks and a terminal's control codes, is escaped as Python's literals do it.
///
/// - Parameter text: Any text.
/// - Returns: One line.
func printable(_ text: String) -> String {
  text.unicodeScalars.map { isPrintable($0) ? String($0) : escaped($0) }.joined()
}

/// Source: Python's documentation of `str.isprintable`: neither "Other" nor "Separator", but for the space.
private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
  case .spaceSeparator: scalar == " "
  default: true
  }
}

/// Source: Python's documentation of the codec `unicode_escape`.
private func escaped(_ scalar: Unicode.Scalar) -> String {
  switch scalar {
  case "\n": "\\n"
  case "\r": "\\r"
  case "\t": "\\t"
  default:
    switch scalar.value {
    case ..<0x100: "\\x" + hexadecimal(scalar.value, digits: 2)
    case ..<0x10000: "\\u" + hexadecimal(scalar.value, digits: 4)
    default: "\\U" + hexadecimal(scalar.value, digits: 8)
    }
  }
}

/// A number in hexadecimal with leading zeros.
func hexadecimal(_ value: UInt32, digits: Int) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(digits - text.count, 0)) + text
}

/// Columns that printable text takes on a terminal.
///
/// Source: Unicode Standard Annex 11 for what is wide; marks that combine take none.
func displayColumns(_ text: String) -> Int {
  text.unicodeScalars.reduce(0) { $0 + columns(of: $1) }
}

private func columns(of scalar: Unicode.Scalar) -> Int {
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark: 0
  default: wide.contains { $0.contains(scalar.value) } ? 2 : 1
  }
}

private let wide: [ClosedRange<UInt32>] = [
  0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
  0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
]

/// Text cut to a number of columns; what is cut away becomes `…`.
func shortened(_ text: String, toColumns limit: Int) -> String {
  guard displayColumns(text) > limit else { return text }
  guard limit >= 1 else { return "" }
  var (kept, used) = ("", 0)
  for character in text {
    used += displayColumns(String(character))
    if used > limit - 1 { break }
    kept.append(character)
  }
  return kept + "…"
}
