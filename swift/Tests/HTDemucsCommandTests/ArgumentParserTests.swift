import XCTest

@testable import HTDemucsCommand

final class ArgumentParserTests: XCTestCase {
  private let parser = ArgumentParser(
    command: CommandDescription(
      name: "play", summary: "", details: [], operands: .init(placeholder: "SONG", count: 1...2),
      options: [
        CommandOption("--output", short: "o", takes: .path("DIR"), isRequired: true, ""),
        CommandOption("--plan", takes: .choice(["design", "demucs"]), ""),
        CommandOption("--overlap", takes: .number("F", 0..<1), ""), CommandOption("--stems", takes: .text("A,B"), ""),
        CommandOption("--json", ""), CommandOption("--quiet", ""),
      ], exclusions: [["--json", "--quiet"]], examples: []))

  private func error(_ arguments: String...) -> String? {
    do {
      _ = try parser.parse(arguments)
      return nil
    } catch {
      return (error as? UsageError)?.message
    }
  }

  func testOptionsMayStandAnywhereAmongOperands() throws {
    let parsed = try parser.parse(["--json", "a.wav", "--output", "stems", "b.wav", "--overlap", "0.5"])
    XCTAssertEqual(parsed.operands, ["a.wav", "b.wav"])
    XCTAssertEqual(parsed["--output"], "stems")
    XCTAssertEqual(parsed.number("--overlap"), 0.5)
    XCTAssertTrue(parsed.has("--json"))
    XCTAssertFalse(parsed.has("--quiet"))
  }

  func testEveryFormOfAValueMeansTheSame() throws {
    let expected = try parser.parse(["a", "--output", "x=y"])
    for form in [["--output=x=y"], ["-o", "x=y"], ["-ox=y"]] {
      XCTAssertEqual(try parser.parse(["a"] + form), expected, "\(form)")
    }
  }

  func testAfterTwoDashesEverythingIsAnOperand() throws {
    let parsed = try parser.parse(["-o", "x", "--", "--json", "-"])
    XCTAssertEqual(parsed.operands, ["--json", "-"])
    XCTAssertFalse(parsed.has("--json"))
  }

  func testALoneDashIsAnOperand() throws {
    XCTAssertEqual(try parser.parse(["-", "-ox"]).operands, ["-"])
  }

  func testAValueMayBeginWithADashUnlessItIsAnOption() throws {
    XCTAssertEqual(try parser.parse(["a", "-o", "-x"])["--output"], "-x")
    XCTAssertEqual(error("a", "-o", "--json"), "--output needs a value: DIR")
    XCTAssertEqual(error("a", "-o", "--json=1"), "--output needs a value: DIR")
    XCTAssertEqual(error("a", "-o", "--"), "--output needs a value: DIR")
  }

  func testEveryDeclaredOptionIsTakenInEveryCommand() throws {
    for command in [SeparateCommand.description, InfoCommand.description, BenchCommand.description] {
      let required = command.options.filter(\.isRequired).flatMap { [$0.name, "x"] }
      let operands = [String](repeating: "x", count: command.operands.count.lowerBound)
      for option in command.options where !option.isRequired {
        guard option.placeholder != nil else {
          XCTAssertTrue(
            try ArgumentParser(command: command).parse(operands + required + [option.name]).has(option.name))
          continue
        }
        let value = Self.value(for: option)
        let parsed = try ArgumentParser(command: command).parse(operands + required + ["\(option.name)=\(value)"])
        XCTAssertEqual(parsed[option.name], value)
      }
    }
  }

  func testExclusionsNameDeclaredOptions() {
    for command in [SeparateCommand.description, InfoCommand.description, BenchCommand.description] {
      for name in command.exclusions.joined() { XCTAssertNotNil(command.option(name), name) }
    }
  }

  func testAnUnknownOptionIsRefusedWithTheNearestKnownOne() {
    XCTAssertEqual(error("a", "--plann", "design"), "unknown option --plann; did you mean --plan?")
    XCTAssertEqual(error("a", "--out=x"), "unknown option --out")
    XCTAssertEqual(error("a", "--qiuet"), "unknown option --qiuet; did you mean --quiet?")
    XCTAssertEqual(error("a", "-x"), "unknown option -x")
    XCTAssertEqual(error("a", "--separate-everything"), "unknown option --separate-everything")
  }

  func testAMissingValueIsRefused() {
    XCTAssertEqual(error("a", "-ox", "--plan"), "--plan needs a value: design|demucs")
  }

  func testAValueForAFlagIsRefused() {
    XCTAssertEqual(error("a", "-ox", "--json=yes"), "--json takes no value")
  }

  func testAWrongValueIsRefusedWithWhatIsRight() {
    XCTAssertEqual(error("a", "-ox", "--plan", "foo"), "--plan takes design or demucs, not 'foo'")
    for text in ["1", "-0.1", "nan", "half", ""] {
      XCTAssertEqual(error("a", "-ox", "--overlap", text), "--overlap takes a number, 0 <= F < 1, not '\(text)'")
    }
    XCTAssertEqual(error("a", "-o", ""), "--output: the path is empty")
    XCTAssertEqual(error("", "-ox"), "SONG: the path is empty")
  }

  func testAValueThatIsGivenTwiceIsRefused() {
    XCTAssertEqual(error("a", "-ox", "--output", "x"), "--output was given twice")
  }

  func testAFlagMayBeRepeated() {
    XCTAssertNil(error("a", "-ox", "--json", "--json"))
  }

  func testContradictingOptionsAreRefused() {
    XCTAssertEqual(error("a", "-ox", "--json", "--quiet"), "--json and --quiet exclude each other")
  }

  func testTooFewAndTooManyOperandsAreRefused() {
    XCTAssertEqual(error("-ox"), "SONG is missing")
    XCTAssertEqual(error("-ox", "a", "b", "c"), "'c' is one argument too many")
  }

  func testAMissingRequiredOptionIsRefused() {
    XCTAssertEqual(error("a"), "--output DIR is missing")
  }

  func testHelpNeedsNothingElse() throws {
    XCTAssertTrue(try parser.parse(["--help"]).wantsHelp)
    XCTAssertTrue(try parser.parse(["a", "b", "c", "-h"]).wantsHelp)
  }

  func testEditDistanceCountsInsertionsDeletionsAndReplacements() {
    for (first, second, distance) in [
      ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("a", "a", 0),
    ] {
      XCTAssertEqual(editDistance(first, second), distance, "\(first) \(second)")
    }
  }

  private static func value(for option: CommandOption) -> String {
    switch option.value {
    case .choice(let words): words[words.count - 1]
    case .number(_, let range): "\(range.lowerBound)"
    default: "x"
    }
  }
}
