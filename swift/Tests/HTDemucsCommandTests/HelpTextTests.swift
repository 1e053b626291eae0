import XCTest

@testable import HTDemucsCommand

final class HelpTextTests: XCTestCase {
  private let commands = [SeparateCommand.description, InfoCommand.description, BenchCommand.description]

  func testHelpNamesEveryOptionWithItsValue() {
    for command in commands {
      let lines = HelpText(terminalColumns: nil).text(for: command).split(separator: "\n")
      for option in command.allOptions {
        let label = [option.name, option.placeholder].compactMap(\.self).joined(separator: " ")
        XCTAssertEqual(
          lines.count { $0.hasPrefix("  -") && ($0 + "  ").contains("\(label)  ") }, 1, "\(command.name) \(label)")
      }
    }
  }

  func testHelpFits110ColumnsAndNarrowTerminals() async {
    for command in [[], ["separate"], ["info"], ["bench"]] {
      for columns in [nil, 60, 80, 300] {
        let tool = FakeTool(output: MemoryOutput(columns: columns))
        let code = await HTDemucsTool.run(
          arguments: command + ["--help"], environment: [:], standardOutput: tool.output, standardError: tool.errors)
        XCTAssertEqual(code, 0)
        // Examples are to be copied and are not broken.
        let prose = tool.output.lines.filter { !$0.hasPrefix("  htdemucs ") }
        for line in tool.output.lines { XCTAssertLessThanOrEqual(line.count, 110, line) }
        for line in prose { XCTAssertLessThanOrEqual(line.count, min(columns ?? 100, 100), line) }
      }
    }
  }

  func testExamplesAreRightUsage() throws {
    for command in commands {
      XCTAssertFalse(command.examples.isEmpty)
      for example in command.examples {
        let words = example.split(separator: " ").map(String.init)
        XCTAssertEqual(words[0], command.name)
        XCTAssertNoThrow(try ArgumentParser(command: command).parse(Array(words.dropFirst())), example)
      }
    }
  }

  func testHelpOfTheToolNamesEveryCommand() async {
    let tool = FakeTool()
    let code = await tool.run("-h")
    XCTAssertEqual(code, 0)
    for command in commands { XCTAssertTrue(tool.output.text.contains("  \(command.name) "), command.name) }
  }
}
