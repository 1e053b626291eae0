/// Wrong usage: told with the command whose help says what is right.
struct UsageError: Error, Equatable {
  let message: String
  /// Name of the command; nil for the tool itself.
  let command: String?
}

/// What was given to a command, checked against its description.
struct ParsedArguments: Equatable, Sendable {
  /// Options that take no value.
  var flags: Set<String> = []
  /// Options and their values.
  var values: [String: String] = [:]
  var operands: [String] = []
  /// Help was asked for; nothing needs to be complete then.
  var wantsHelp: Bool { flags.contains(CommandOption.help.name) }

  /// Whether an option was given, with a value or without.
  func has(_ name: String) -> Bool { flags.contains(name) || values[name] != nil }

  /// An option's value.
  subscript(name: String) -> String? { values[name] }

  /// Value of an option that takes numbers.
  func number(_ name: String) -> Double? { values[name].flatMap(Double.init) }
}

/// Parses the arguments of a command.
///
/// Options may stand anywhere among the operands; `--name value` and `--name=value` mean the same, as do `-n value` and
/// `-nvalue` for an option with a letter, and after `--` everything is an operand.
struct ArgumentParser {
  let command: CommandDescription

  /// - Parameter arguments: What follows the command's name.
  /// - Returns: Options and operands.
  /// - Throws: `UsageError`.
  func parse(_ arguments: [String]) throws -> ParsedArguments {
    var parsed = ParsedArguments()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        parsed.operands += rest
        break
      }
      guard argument.hasPrefix("-"), argument != "-" else {
        parsed.operands.append(argument)
        continue
      }
      let (option, attached) = try option(argument)
      guard option.placeholder != nil else {
        if attached != nil { throw error("\(option.name) takes no value") }
        parsed.flags.insert(option.name)
        continue
      }
      let value = try attached ?? self.value(of: option, from: &rest)
      if let refusal = option.refusal(of: value) { throw error(refusal) }
      guard parsed.values.updateValue(value, forKey: option.name) == nil else {
        throw error("\(option.name) was given twice")
      }
    }
    if !parsed.wantsHelp { try check(parsed) }
    return parsed
  }

  /// The option that an argument names, and the value that it carries.
  private func option(_ argument: String) throws -> (CommandOption, attached: String?) {
    if argument.hasPrefix("--") {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if let option = command.option(parts[0]) { return (option, parts.count > 1 ? parts[1] : nil) }
      throw error(unknown("option", parts[0], among: command.allOptions.map(\.name)))
    }
    let letter = argument.dropFirst().prefix(1)
    guard let option = command.allOptions.first(where: { $0.short.map(String.init) == String(letter) }) else {
      throw error(unknown("option", argument, among: command.allOptions.map(\.name)))
    }
    let attached = argument.dropFirst(2)
    return (option, attached.isEmpty ? nil : String(attached))
  }

  /// The next argument, unless it is an option itself.
  private func value(of option: CommandOption, from rest: inout ArraySlice<String>) throws -> String {
    guard let value = rest.first, !names(anOption: value) else {
      throw error("\(option.name) needs a value: \(option.placeholder ?? "")")
    }
    rest.removeFirst()
    return value
  }

  private func names(anOption argument: String) -> Bool {
    let name = argument.prefix { $0 != "=" }
    return argument == "--"
      || command.allOptions.contains { $0.name == name || $0.short.map { "-\($0)" } == argument }
  }

  private func check(_ parsed: ParsedArguments) throws {
    for group in command.exclusions {
      let given = group.filter(parsed.has)
      if given.count > 1 { throw error("\(listed(given, "and")) exclude each other") }
    }
    let operands = command.operands
    if parsed.operands.contains("") { throw error("\(operands.placeholder): the path is empty") }
    guard parsed.operands.count >= operands.count.lowerBound else {
      throw error("\(operands.placeholder) is missing")
    }
    guard parsed.operands.count <= operands.count.upperBound else {
      throw error("'\(parsed.operands[operands.count.upperBound])' is one argument too many")
    }
    for option in command.options where option.isRequired && !parsed.has(option.name) {
      throw error("\(option.name) \(option.placeholder ?? "") is missing")
    }
  }

  private func error(_ message: String) -> UsageError { UsageError(message: message, command: command.name) }
}

/// A message such as `unknown option --plann; did you mean --plan?`.
///
/// - Parameters:
///   - kind: What was looked for, such as `option`.
///   - name: What was given.
///   - known: What there is.
/// - Returns: The message; it names the nearest known one, if one is near.
func unknown(_ kind: String, _ name: String, among known: [String]) -> String {
  let nearest = known.map { (name: $0, distance: editDistance(name, $0)) }.min { $0.distance < $1.distance }
  guard let nearest, nearest.distance <= max(2, name.count / 3) else { return "unknown \(kind) \(name)" }
  return "unknown \(kind) \(name); did you mean \(nearest.name)?"
}

/// How many insertions, deletions and replacements of one character turn one text into another.
///
/// Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
func editDistance(_ first: String, _ second: String) -> Int {
  let columns = Array(second)
  var row = Array(0...columns.count)
  for (line, character) in first.enumerated() {
    var diagonal = row[0]
    row[0] = line + 1
    for (column, other) in columns.enumerated() {
      let replaced = diagonal + (character == other ? 0 : 1)
      diagonal = row[column + 1]
      row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
    }
  }
  return row[columns.count]
}
