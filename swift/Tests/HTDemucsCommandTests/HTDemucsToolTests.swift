import Foundation
import XCTest

@testable import HTDemucsCommand

final class HTDemucsToolTests: XCTestCase {
  func testVersionIsThePythonPackages() async throws {
    let tool = FakeTool()
    let code = await tool.run("--version")
    XCTAssertEqual(code, 0)
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardizedFileURL
    let package = root.appending(path: "py/src/htdemucs_coreml/__init__.py")
    let source = try String(contentsOf: package, encoding: .utf8)
    XCTAssertTrue(source.contains("\n__version__ = \"\(toolVersion)\"\n"))
    XCTAssertEqual(tool.output.text, "htdemucs, version \(toolVersion)\n")
  }

  func testWithoutACommandItPrintsHelpAsWrongUsage() async {
    let tool = FakeTool()
    let code = await tool.run()
    XCTAssertEqual(code, 2)
    XCTAssertEqual(tool.output.text, "")
    XCTAssertTrue(tool.errors.text.hasPrefix("Usage: htdemucs"))
  }

  func testAnUnknownCommandIsWrongUsageWithTheNearestKnownOne() async {
    let tool = FakeTool()
    let code = await tool.run("seperate", "song.wav")
    XCTAssertEqual(code, 2)
    XCTAssertEqual(
      tool.errors.lines, ["error: unknown command seperate; did you mean separate?", "Try 'htdemucs --help'."])
    XCTAssertEqual(tool.output.text, "")
  }

  func testWrongUsageNamesTheCommandsHelp() async {
    let tool = FakeTool()
    let code = await tool.run("info")
    XCTAssertEqual(code, 2)
    XCTAssertEqual(tool.errors.lines, ["error: PACKAGE is missing", "Try 'htdemucs info --help'."])
  }

  func testWhatIsQuotedInAnErrorIsPrintable() async {
    let tool = FakeTool()
    let code = await tool.run("--\u{1B}[31m")
    XCTAssertEqual(code, 2)
    XCTAssertEqual(tool.errors.lines[0], "error: unknown option --\\x1b[31m")
  }

  func testAClosedOutputEndsItQuietly() async {
    let tool = FakeTool(output: MemoryOutput(writesUntilClosed: 0))
    let code = await tool.run("--help")
    XCTAssertEqual(code, 1)
    XCTAssertEqual(tool.errors.text, "")
  }

  // MARK: - The program itself

  func testAClosedPipeEndsTheProgramQuietly() throws {
    let (process, errors) = try program("--help") { $0.standardOutput = Self.closedPipe() }
    process.waitUntilExit()
    XCTAssertEqual(process.terminationReason, .exit)
    XCTAssertEqual(process.terminationStatus, 1)
    XCTAssertEqual(text(of: errors), "")
  }

  func testASignalEndsTheProgramInGoodOrder() throws {
    for (signal, name, code) in [(SIGINT, "SIGINT", 130), (SIGTERM, "SIGTERM", 143), (SIGHUP, "SIGHUP", 129)] {
      let (process, errors) = try program("bench", "--pass-through", "--seconds", "90000", "--stems", "bass") { _ in }
      // Once it says something, signals no longer end it at once; further ones are ignored.
      let first = errors.fileHandleForReading.availableData
      while process.isRunning {
        kill(process.processIdentifier, signal)
        usleep(50_000)
      }
      XCTAssertEqual(process.terminationReason, .exit, name)
      XCTAssertEqual(process.terminationStatus, Int32(code), name)
      let told = String(decoding: first, as: UTF8.self) + text(of: errors)
      XCTAssertTrue(told.hasSuffix("error: ended by \(name); nothing partial was left behind\n"), told)
    }
  }

  /// Starts the program that was built with the tests.
  private func program(_ arguments: String..., change: (Process) -> Void) throws -> (Process, errors: Pipe) {
    let process = Process()
    process.executableURL = try builtProgram(besideTestsOf: Self.self)
    process.arguments = arguments
    let errors = Pipe()
    process.standardError = errors
    change(process)
    try process.run()
    return (process, errors)
  }

  private static func closedPipe() -> FileHandle {
    let pipe = Pipe()
    try? pipe.fileHandleForReading.close()
    return pipe.fileHandleForWriting
  }

  private func text(of pipe: Pipe) -> String {
    String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  }
}
