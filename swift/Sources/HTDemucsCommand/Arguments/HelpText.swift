/// Help for the tool and for its commands, made of their descriptions.
struct HelpText {
  /// Width that lines keep to.
  let columns: Int
  private static let indentation = "  "
  /// Where the help of an option begins.
  private static let helpColumn = 26

  /// - Parameter columns: Width of the terminal; nil for none. Long lines are hard to read on any.
  init(terminalColumns columns: Int?) {
    self.columns = min(max(columns ?? 100, 60), 100)
  }

  /// Help for a command.
  func text(for command: CommandDescription) -> String {
    var lines = ["Usage: \(toolName) \(command.name) [OPTIONS]\(operands(of: command))", ""]
    for paragraph in command.details { lines += indented(paragraph) + [""] }
    lines += ["Options:"] + command.allOptions.flatMap { row(label($0), help(of: $0)) }
    if !command.examples.isEmpty {
      lines += ["", "Examples:"] + command.examples.map { "\(Self.indentation)\(toolName) \($0)" }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Help for the tool.
  func text(forToolWith commands: [CommandDescription], details: [String], examples: [String]) -> String {
    var lines = ["Usage: \(toolName) [OPTIONS] COMMAND [ARGUMENTS]", ""]
    for paragraph in details { lines += indented(paragraph) + [""] }
    lines += ["Commands:"] + commands.flatMap { row($0.name, $0.summary) }
    lines += ["", "Options:"] + row("--version", "Show the version and exit.")
    lines += row(label(.help), "Show this text, or with a command its own, and exit.")
    lines += ["", "Examples:"] + examples.map { "\(Self.indentation)\(toolName) \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  private func operands(of command: CommandDescription) -> String {
    command.operands.count.upperBound == 0 ? "" : " \(command.operands.placeholder)"
  }

  private func label(_ option: CommandOption) -> String {
    let names = (option.short.map { "-\($0), " } ?? "") + option.name
    return option.placeholder.map { "\(names) \($0)" } ?? names
  }

  private func help(of option: CommandOption) -> String {
    option.isRequired ? "\(option.meaning) [required]" : option.meaning
  }

  /// A name and what it means, side by side; a long name has a line of its own.
  private func row(_ label: String, _ help: String) -> [String] {
    let margin = String(repeating: " ", count: Self.helpColumn)
    let lines = wrapped(help, columns: columns - Self.helpColumn).map { margin + $0 }
    let start = Self.indentation + label
    guard start.count + 2 <= Self.helpColumn, let first = lines.first else { return [start] + lines }
    return [start + first.dropFirst(start.count)] + lines.dropFirst()
  }

  private func indented(_ paragraph: String) -> [String] {
    wrapped(paragraph, columns: columns - Self.indentation.count).map { Self.indentation + $0 }
  }

  /// Lines of words; a word longer than a line has one of its own.
  private func wrapped(_ text: String, columns: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= columns {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }
}
