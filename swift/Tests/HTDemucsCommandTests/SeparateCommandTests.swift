import Foundation
import XCTest

@testable import HTDemucsCommand
@testable import HTDemucsKit

final class SeparateCommandTests: XCTestCase {
  private let package = ["--package", "x.mlpackage"]

  /// A folder of this test, removed at its end.
  private func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    addTeardownBlock { try FileManager.default.removeItem(at: folder) }
    return folder
  }

  // MARK: - Text

  func testASongIsOneLineOnStandardOutput() async throws {
    let tool = FakeTool()
    let code = await tool.run("separate", "in/song.mp3", "-o", "stems/", "--package", "x.mlpackage")
    XCTAssertEqual(code, 0)
    let expected = /in\/song\.mp3 -> stems\/song: drums\.wav bass\.wav vocals\.wav \(\d+\.\d s\)\n/
    XCTAssertNotNil(try expected.wholeMatch(in: tool.output.text), tool.output.text)
    XCTAssertEqual(tool.errors.text, "")
  }

  func testWithoutAModelItSaysThatTheEmbeddedOneDoesNotSeparate() async throws {
    let folder = try temporaryFolder()
    let fixture = folder.appending(path: "fixture.mixed.mlpackage")
    try FileManager.default.createDirectory(at: fixture, withIntermediateDirectories: true)
    let tool = FakeTool(environment: [PackageChoice.variable: folder.path])
    let code = await tool.run("separate", "song.mp3", "-o", "stems")
    XCTAssertEqual(code, 0)
    XCTAssertEqual(
      tool.errors.lines,
      [
        "note: neither --model nor --package was given: this is the embedded model fixture, whose weights are computed "
          + "and not trained, so its stems are no separation"
      ])
    XCTAssertEqual(tool.loaded.packages.map(\.lastPathComponent), ["fixture.mixed.mlpackage"])

    let quiet = FakeTool(environment: tool.environment)
    _ = await quiet.run("separate", "song.mp3", "-o", "stems", "--quiet")
    XCTAssertEqual(quiet.errors.text, "")

    let json = FakeTool(environment: tool.environment)
    _ = await json.run("separate", "song.mp3", "-o", "stems", "--json")
    let note = try XCTUnwrap(json.events().first as? [String: String])
    XCTAssertEqual(note, ["event": "note", "message": String(tool.errors.lines[0].dropFirst("note: ".count))])
    XCTAssertEqual(json.errors.text, "")
  }

  func testWarningsOfTheReportAreTold() async {
    let tool = FakeTool(separator: FakeSeparator(warnings: [.retried(segment: 3)]))
    let code = await tool.run("separate", "song.mp3", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertEqual(code, 0)
    XCTAssertEqual(
      tool.errors.lines, ["warning: song.mp3: The network failed in segment 3 and was run once more."])
  }

  func testQuietPrintsNothingButErrors() async {
    let tool = FakeTool(
      separator: FakeSeparator(warnings: [.retried(segment: 3)]), errors: MemoryOutput(columns: 80))
    let code = await tool.run("separate", "song.mp3", "fails.mp3", "-o", "stems", "--package", "x.mlpackage", "--quiet")
    XCTAssertEqual(code, 1)
    XCTAssertEqual(tool.output.text, "")
    XCTAssertEqual(
      tool.errors.lines,
      ["error: fails.mp3 was made to fail. Take another.", "1 of 2 inputs were separated, 1 failed"])
  }

  func testATerminalHasAProgressBarAndAPipeHasNone() async {
    let terminal = FakeTool(errors: MemoryOutput(columns: 80))
    _ = await terminal.run("separate", "song.mp3", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertTrue(terminal.errors.text.contains("1/2 segments"))
    XCTAssertTrue(terminal.errors.text.hasSuffix("\r\u{1B}[K"))
    var dumb = FakeTool(errors: MemoryOutput(columns: 80))
    dumb.environment["TERM"] = "dumb"
    _ = await dumb.run("separate", "song.mp3", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertEqual(dumb.errors.text, "")
  }

  func testNamesOfFilesArePrintable() async {
    let tool = FakeTool()
    let code = await tool.run("separate", "a\u{1B}[31m\n.mp3", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertEqual(code, 0)
    XCTAssertTrue(tool.output.text.hasPrefix("a\\x1b[31m\\n.mp3 -> stems/a\\x1b[31m\\n: "), tool.output.text)
  }

  // MARK: - Failures

  func testTheOthersAreSeparatedWhereOneInputFails() async {
    let tool = FakeTool()
    let code = await tool.run("separate", "fails.mp3", "song.mp3", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertEqual(code, 1)
    XCTAssertTrue(tool.output.text.hasPrefix("song.mp3 -> "))
    XCTAssertEqual(
      tool.errors.lines,
      ["error: fails.mp3 was made to fail. Take another.", "1 of 2 inputs were separated, 1 failed"])
  }

  func testInputsThatCannotBeOpenedAreToldBeforeTheOthersAreSeparated() async throws {
    let tool = FakeTool()
    let code = await tool.run(
      "separate", "song.mp3", "missing.mp3", "-o", "stems", "--package", "x.mlpackage", "--json")
    XCTAssertEqual(code, 1)
    let events = try tool.events()
    XCTAssertEqual(events.first?["event"] as? String, "error")
    XCTAssertEqual(events.first?["input"] as? String, "missing.mp3")
    XCTAssertEqual(tool.separator.requests.map(\.song.lastPathComponent), ["song.mp3"])
  }

  func testAModelIsNotLoadedForInputsThatCannotBeOpened() async {
    let tool = FakeTool()
    let code = await tool.run("separate", "missing.mp3", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertEqual(code, 1)
    XCTAssertEqual(tool.loaded.packages, [])
    XCTAssertEqual(
      tool.errors.lines,
      [
        "error: missing.mp3 cannot be read: there is no such file. Give a readable audio file, such as WAV, FLAC or MP3."
      ])
  }

  func testAnErrorWithoutTheInputsNameGetsIt() async {
    let tool = FakeTool()
    let services = Services(
      executable: nil,
      requireReadable: { _, _ in throw AudioProcessingError.channels(6, reason: .downmixIsOff) },
      separator: { [tool] _, _ in tool.separator })
    let code = await HTDemucsTool.run(
      arguments: ["separate", "song.mp3", "-o", "stems"] + package, environment: [:], standardOutput: tool.output,
      standardError: tool.errors, services: services)
    XCTAssertEqual(code, 1)
    XCTAssertTrue(tool.errors.text.hasPrefix("error: song.mp3: There are 6 channels"), tool.errors.text)
  }

  func testAPackageThatCannotBeLoadedFailsAllInputs() async throws {
    let tool = FakeTool()
    let code = await tool.run("separate", "a.mp3", "b.mp3", "-o", "stems", "--package", "damaged.mlpackage", "--json")
    XCTAssertEqual(code, 1)
    let events = try tool.events()
    XCTAssertEqual(events.map { $0["event"] as? String }, ["error", "summary"])
    XCTAssertTrue(events[0]["input"] is NSNull)
    XCTAssertEqual(events[1]["failed"] as? Int, 2)
  }

  // MARK: - Wrong usage

  func testWrongUsageIsFoundBeforeAnySongIsTouched() async {
    for (arguments, message) in [
      (["--stems", "drums,cowbell"], "Stem cowbell was asked for"),
      (["--stems", "drums,drums"], "Stem drums was asked"),
      (["--stems", ""], "No stem at all"), (["--two-stems", "cowbell"], "Stem cowbell"),
      (["--plan", "demucs"], "Chunk plan demucs needs segments"),
      (["--overlap", "0.9999999"], "Overlap 0.9999999 is out of range"),
      (["--flac", "--float32"], "FLAC cannot hold float32 samples"),
      (["--int16", "--float32"], "--float32 and --int16 exclude each other"),
      (["--model", "fixture"], "--model and --package exclude each other"),
      (["--stems", "drums", "--two-stems", "bass"], "--stems and --two-stems exclude each other"),
      (["--backend", "torch"], "this tool has the backend coreml only"),
      (["in/song.flac"], "song.mp3 and in/song.flac would have the same folder"),
      (["SONG.wav"], "song.mp3 and SONG.wav would have the same folder"),
    ] {
      let tool = FakeTool()
      let code = await HTDemucsTool.run(
        arguments: ["separate", "song.mp3", "-o", "stems"] + package + arguments, environment: [:],
        standardOutput: tool.output, standardError: tool.errors,
        services: Services(
          executable: nil, requireReadable: { _, _ in }, separator: { [tool] _, _ in tool.separator }))
      XCTAssertEqual(code, 2, "\(arguments)")
      XCTAssertTrue(tool.errors.text.hasPrefix("error: \(message)"), tool.errors.text)
      XCTAssertEqual(tool.errors.lines.last, "Try 'htdemucs separate --help'.")
      XCTAssertEqual(tool.separator.requests, [], "\(arguments)")
    }
  }

  func testNamesThatDifferOnlyInHowTheyAreComposedAreTheSame() async {
    let tool = FakeTool()
    let code = await tool.run("separate", "e\u{301}.mp3", "\u{C9}.wav", "-o", "stems", "--package", "x.mlpackage")
    XCTAssertEqual(code, 2)
  }

  // MARK: - Options

  func testOptionsReachTheSeparator() async throws {
    let cases: [([String], (inout FileOptions) throws -> Void)] = [
      ([], { _ in }),
      (["--stems", "bass, drums"], { $0.separation.selection = .only([.bass, .drums]) }),
      (["--two-stems", "vocals"], { $0.separation.selection = .twoStems(.vocals) }),
      (["--plan", "design"], { $0.separation.plan = .design }),
      (["--overlap", "0.5"], { $0.separation.overlap = 0.5 }),
      (["--int16"], { $0.format = try AudioFileFormat(.wav, .int16) }),
      (["--flac"], { $0.format = try AudioFileFormat(.flac, .int24) }),
      (["--flac", "--int16"], { $0.format = try AudioFileFormat(.flac, .int16) }),
      (["--clip-mode", "clamp"], { $0.clipMode = .clamp }),
      (["--downmix"], { $0.allowsDownmix = true }),
      (["--backend", "coreml"], { _ in }),
    ]
    for (arguments, change) in cases {
      var expected = FileOptions()
      try change(&expected)
      let tool = FakeTool()
      let code = await HTDemucsTool.run(
        arguments: ["separate", "song.mp3", "-o", "stems"] + package + arguments, environment: [:],
        standardOutput: tool.output, standardError: tool.errors,
        services: Services(
          executable: nil, requireReadable: { _, _ in }, separator: { [tool] _, _ in tool.separator }))
      XCTAssertEqual(code, 0, "\(arguments)")
      XCTAssertEqual(tool.separator.requests.map(\.options), [expected], "\(arguments)")
    }
  }

  func testPackagesAndComputeUnitsReachTheProcessor() async {
    let tool = FakeTool()
    _ = await tool.run(
      "separate", "song.mp3", "-o", "stems", "--package", "x.mlpackage", "--fallback-package", "y.mlpackage",
      "--compute-units", "cpuAndNeuralEngine")
    XCTAssertEqual(tool.loaded.packages.map(\.lastPathComponent), ["x.mlpackage"])
    XCTAssertEqual(
      tool.loaded.configurations,
      [.init(computeUnits: .cpuAndNeuralEngine, fallbackPackage: URL(filePath: "y.mlpackage"))])
  }

  // MARK: - JSON

  func testEventsHaveTheKeysOfThePythonTool() async throws {
    let tool = FakeTool()
    let code = await tool.run(
      "separate", "song.mp3", "fails.mp3", "-o", "stems", "--package", "x.mlpackage", "--json", "--stems", "bass")
    XCTAssertEqual(code, 1)
    let events = try tool.events()
    XCTAssertEqual(
      events.compactMap { $0["event"] as? String },
      ["progress", "progress", "progress", "done", "progress", "progress", "progress", "error", "summary"])
    let keys: [String: Set<String>] = [
      "progress": ["event", "input", "segments_done", "segments_total", "remaining_seconds"],
      "done": ["event", "input", "folder", "stems", "sample_rate_hz", "frames", "wall_seconds", "report"],
      "error": ["event", "input", "message"], "summary": ["event", "done", "failed"],
    ]
    for event in events { XCTAssertEqual(Set(event.keys), keys[event["event"] as? String ?? ""]) }
    XCTAssertTrue(events[0]["remaining_seconds"] is NSNull)
    XCTAssertEqual(events[1]["remaining_seconds"] as? Double, 1.5)
    XCTAssertEqual(events[3]["folder"] as? String, "stems/song")
    XCTAssertEqual(events[3]["stems"] as? [String: String], ["bass": "stems/song/bass.wav"])
    XCTAssertEqual(events[3]["sample_rate_hz"] as? Int, 48_000)
    XCTAssertEqual((events[3]["report"] as? [String: Any])?["audio_seconds"] as? Double, 4)
    XCTAssertEqual(events[8]["done"] as? Int, 1)
    XCTAssertEqual(tool.errors.lines.first, "error: fails.mp3 was made to fail. Take another.")
  }

  func testStemsAreInTheirOrder() async {
    let tool = FakeTool()
    _ = await tool.run("separate", "song.mp3", "-o", "stems", "--package", "x.mlpackage", "--json", "--quiet")
    XCTAssertTrue(
      tool.output.text.contains(
        #""stems": {"drums": "stems/song/drums.wav", "bass": "stems/song/bass.wav", "vocals": "#), tool.output.text)
  }

  func testQuietJSONHasResultsAndNoProgress() async throws {
    let tool = FakeTool()
    _ = await tool.run("separate", "song.mp3", "-o", "stems", "--package", "x.mlpackage", "--json", "--quiet")
    XCTAssertEqual(try tool.events().compactMap { $0["event"] as? String }, ["done", "summary"])
  }

  // MARK: - Reports

  func testTheReportsFileHasAnObjectForEachInput() async throws {
    let file = try temporaryFolder().appending(path: "report.json")
    let tool = FakeTool()
    let code = await tool.run(
      "separate", "fails.mp3", "song.mp3", "-o", "stems", "--package", "x.mlpackage", "--report", file.path)
    XCTAssertEqual(code, 1)
    let list = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[String: Any]] ?? []
    XCTAssertEqual(list.map { Set($0.keys) }, [["input", "error"], ["input", "folder", "report"]])
    XCTAssertEqual((list[1]["report"] as? [String: Any])?["model"] as? String, "fixture")
  }

  func testAReportThatCannotBeKeptIsToldBeforeAnySongIsTouched() async throws {
    let folder = try temporaryFolder()
    let song = folder.appending(path: "song.mp3").path
    for path in [folder.path, folder.appending(path: "none/report.json").path, song] {
      let tool = FakeTool()
      let code = await tool.run("separate", song, "-o", "stems", "--package", "x.mlpackage", "--report", path)
      XCTAssertEqual(code, 1)
      XCTAssertTrue(tool.errors.text.hasPrefix("error: The report \(path) cannot be written"), tool.errors.text)
      XCTAssertEqual(tool.separator.requests, [])
    }
  }

  // MARK: - Ends

  func testASignalCancelsTheSeparation() async {
    for signal in Termination.Signal.allCases {
      let tool = FakeTool()
      let work = Task { await tool.run("separate", "hangs.mp3", "song.mp3", "-o", "stems", "--package", "x.mlpackage") }
      while tool.separator.requests.isEmpty { await Task.yield() }
      tool.termination.whenSignalled { work.cancel() }
      tool.termination.receive(signal)
      tool.termination.receive(.hangup)
      let code = await work.value
      XCTAssertEqual(code, 128 + signal.rawValue)
      XCTAssertEqual(tool.errors.lines, ["error: ended by \(signal.name); nothing partial was left behind"])
      XCTAssertEqual(tool.separator.requests.count, 1)
      XCTAssertEqual(tool.output.text, "")
    }
  }

  func testASignalBeforeTheWorkBeginsEndsIt() async {
    let tool = FakeTool()
    tool.termination.receive(.terminate)
    let work = Task { await tool.run("separate", "hangs.mp3", "-o", "stems", "--package", "x.mlpackage") }
    tool.termination.whenSignalled { work.cancel() }
    let code = await work.value
    XCTAssertEqual(code, 143)
  }

  func testAClosedOutputEndsTheSeparationQuietly() async {
    // The first update is read, the next is not.
    let tool = FakeTool(output: MemoryOutput(writesUntilClosed: 1))
    let code = await tool.run("separate", "hangs.mp3", "song.mp3", "-o", "stems", "--package", "x.mlpackage", "--json")
    XCTAssertEqual(code, 1)
    XCTAssertEqual(tool.errors.text, "")
    XCTAssertEqual(tool.separator.requests.count, 1)
  }
}
