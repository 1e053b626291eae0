/// What a command is and takes, as data from which parsing and help both follow.
struct CommandDescription: Sendable {
  /// Name, such as `separate`.
  let name: String
  /// One line for the list of commands.
  let summary: String
  /// Paragraphs of its help.
  let details: [String]
  /// Arguments that are no options; paths, all of them.
  let operands: Operands
  let options: [CommandOption]
  /// Names of options of which at most one may be given.
  let exclusions: [[String]]
  /// Lines without the tool's name.
  let examples: [String]

  struct Operands: Sendable {
    let placeholder: String
    let count: ClosedRange<Int>
  }

  /// Every option, with the one that each command has.
  var allOptions: [CommandOption] { options + [.help] }

  func option(_ name: String) -> CommandOption? { allOptions.first { $0.name == name } }
}

/// An option of a command.
struct CommandOption: Sendable {
  /// What it takes.
  enum Value: Sendable {
    /// Nothing: it is there or not.
    case none
    /// Any text.
    case text(String)
    /// A path, which is not empty.
    case path(String)
    /// One of these words.
    case choice([String])
    /// A number of this range.
    case number(String, Range<Double>)
  }

  /// Name with its dashes.
  let name: String
  /// A letter that stands for it.
  let short: Character?
  let value: Value
  let isRequired: Bool
  /// Help for it.
  let meaning: String

  init(_ name: String, short: Character? = nil, takes value: Value = .none, isRequired: Bool = false, _ meaning: String)
  {
    self.name = name
    self.short = short
    self.value = value
    self.isRequired = isRequired
    self.meaning = meaning
  }

  static let help = CommandOption("--help", short: "h", "Show this text and exit.")

  /// What stands for its value in help and errors; nil for a flag.
  var placeholder: String? {
    switch value {
    case .none: nil
    case .text(let placeholder), .path(let placeholder), .number(let placeholder, _): placeholder
    case .choice(let words): words.joined(separator: "|")
    }
  }

  /// Why a value is refused; nil for one that is taken.
  func refusal(of text: String) -> String? {
    switch value {
    case .none: return "\(name) takes no value"
    case .text: return nil
    case .path: return text.isEmpty ? "\(name): the path is empty" : nil
    case .choice(let words):
      return words.contains(text) ? nil : "\(name) takes \(listed(words, "or")), not '\(text)'"
    case .number(let placeholder, let range):
      if let number = Double(text), range.contains(number) { return nil }
      return "\(name) takes a number, \(described(range, placeholder)), not '\(text)'"
    }
  }
}

/// A range of numbers as in `0 <= F < 1`.
func described(_ range: Range<Double>, _ placeholder: String) -> String {
  "\(JSONValue.number(range.lowerBound).line) <= \(placeholder) < \(JSONValue.number(range.upperBound).line)"
}

/// Words as in `a, b or c`.
func listed(_ words: [String], _ conjunction: String) -> String {
  guard let last = words.last, words.count > 1 else { return words.joined() }
  return "\(words.dropLast().joined(separator: ", ")) \(conjunction) \(last)"
}
