import Foundation
import Synchronization
import XCTest

@testable import HTDemucsCommand
@testable import HTDemucsKit

final class BenchTests: XCTestCase {
  // MARK: - Command

  func testThePassThroughIsMeasuredSegmentBySegment() async throws {
    let tool = FakeTool()
    let code = await tool.run("bench", "--pass-through", "--seconds", "12", "--stems", "bass,piano", "--json")
    XCTAssertEqual(code, 0, tool.errors.text)
    let object = try JSONSerialization.jsonObject(with: Data(tool.output.text.utf8)) as? [String: Any] ?? [:]
    XCTAssertEqual(
      Set(object.keys),
      [
        "name", "plan", "stems", "audio_seconds", "wall_seconds", "audio_seconds_per_second", "load_seconds",
        "peak_memory_bytes", "stages", "others",
      ])
    XCTAssertEqual(object["audio_seconds"] as? Double, 12)
    XCTAssertEqual(object["stems"] as? [String], ["bass", "piano"])
    let stages = object["stages"] as? [String: [String: Double]] ?? [:]
    XCTAssertEqual(Set(stages.keys), ["stft", "model", "inverse_stft"])
    for stage in stages.values {
      XCTAssertEqual(stage["times"], 2)
      XCTAssertLessThanOrEqual(stage["minimum_seconds"] ?? .nan, stage["median_seconds"] ?? .nan)
      XCTAssertLessThanOrEqual(stage["median_seconds"] ?? .nan, stage["maximum_seconds"] ?? .nan)
    }
    let others = object["others"] as? [String: [String: Double]] ?? [:]
    let shares = stages.values.compactMap { $0["share"] } + others.values.compactMap { $0["share"] }
    XCTAssertEqual(shares.reduce(0, +), 1, accuracy: 1e-6)
    XCTAssertEqual(tool.loaded.packages, [])
  }

  func testAPackageIsMeasuredByItsReport() async {
    let tool = FakeTool()
    let code = await tool.run("bench", "--package", "x.mlpackage", "--seconds", "1", "--compute-units", "all")
    XCTAssertEqual(code, 0, tool.errors.text)
    let lines = tool.output.lines
    XCTAssertEqual(lines[0], "fixture float32 on cpuAndGPU, plan design, 3 stems")
    XCTAssertEqual(lines[1], "audio   4.0 s in 2.000 s: 2.0 s of audio a second")
    XCTAssertTrue(lines.contains("model                     1   1.000000   1.000000   1.000000     50.0 %"), lines[5])
    XCTAssertTrue(lines.contains("everything else                          0.250000                12.5 %"), lines[7])
    XCTAssertEqual(tool.loaded.configurations.map(\.computeUnits), [.all])
  }

  func testWrongUsage() async {
    for (arguments, message) in [
      (["--pass-through", "--package", "x"], "--package and --pass-through exclude each other"),
      (["--pass-through", "--compute-units", "all"], "--pass-through and --compute-units exclude each other"),
      (["--transforms", "--seconds", "3"], "--transforms and --seconds exclude each other"),
      (["--pass-through", "--stems", "cowbell"], "Stem cowbell was asked for"),
      (["--pass-through", "--stems", "bass,bass"], "Stem bass was asked for twice"),
      (["--package", "x", "--plan", "demucs"], "Chunk plan demucs needs segments"),
      (["--seconds", "0"], "--seconds takes a number, 1 <= F < 100000, not '0'"),
      (["song.mp3"], "'song.mp3' is one argument too many"),
    ] {
      let tool = FakeTool()
      let code = await HTDemucsTool.run(
        arguments: ["bench"] + arguments, environment: [:], standardOutput: tool.output, standardError: tool.errors,
        services: Services(
          executable: nil, requireReadable: { _, _ in }, separator: { [tool] _, _ in tool.separator }))
      XCTAssertEqual(code, 2, "\(arguments)")
      XCTAssertTrue(tool.errors.text.contains("error: \(message)"), tool.errors.text)
      XCTAssertEqual(tool.output.text, "")
    }
  }

  func testTransformsAreMeasuredAlone() throws {
    let benchmark = try TransformBenchmark.run(repeats: 2)
    XCTAssertEqual(benchmark.stages.map(\.name), ["STFT", "inverse STFT"])
    XCTAssertEqual(benchmark.stages.map(\.seconds.count), [2, 2])
    XCTAssertFalse(benchmark.table.contains("everything else"))
    XCTAssertGreaterThan(benchmark.stages[1].seconds.minimum, benchmark.stages[0].seconds.minimum)
  }

  // MARK: - Parts

  func testThePassThroughGivesTheMixAsEveryStem() async throws {
    let samples = 44_100
    let model = PassThroughModel(segmentSamples: 22_050)
    let plan = try ChunkPlan.design(segmentSamples: model.segmentSamples)
    let track = SyntheticTrack(seconds: 1)
    let separation = TrackSeparation(
      separator: try SegmentSeparator(model: model), plan: plan, sources: [0, 5], track: track)
    var stems = Waveform(signals: 4, samples: samples)
    var position = 0
    try await separation.run {
      stems.replace(from: position, with: $0)
      position += $0.samples
    }
    XCTAssertEqual(position, samples)
    let mix = try blocks(of: track)
    for signal in 0..<4 {
      // The STFT's inverse lacks 1.5 hops at a segment's ends, and the bin at the Nyquist frequency.
      let differences = (5_000..<15_000).map { abs(stems[signal][stems[signal].startIndex + $0] - mix[signal % 2][$0]) }
      XCTAssertLessThan(differences.max() ?? .nan, 0.02)
    }
  }

  func testAllStemsOfThePassThroughLieInOnePlace() async throws {
    let model = PassThroughModel(segmentSamples: 8192)
    let input = SegmentInput(samples: 8192, transform: try AudioFFT())
    try await model.predict(input).withStems { tensors in
      for tensor in [tensors.real, tensors.imag, tensors.waveform] {
        XCTAssertEqual(tensor.shape[0], 6)
        XCTAssertEqual(tensor.pointer(0), tensor.pointer(5))
      }
      XCTAssertNotEqual(tensors.real.start, UnsafePointer(input.real.baseAddress))
    }
  }

  func testTheSyntheticTrackIsTheSameEachTime() throws {
    let track = SyntheticTrack(seconds: 3.5)
    XCTAssertEqual(track.samples, 154_350)
    let first = try blocks(of: track)
    XCTAssertEqual(first, try blocks(of: track))
    XCTAssertEqual(first.map(\.count), [track.samples, track.samples])
    XCTAssertEqual(first[0].map(abs).max() ?? 0, 0.1, accuracy: 0.001)
    XCTAssertEqual(first[0].reduce(0, +) / Float(track.samples), 0, accuracy: 0.001)
    XCTAssertNotEqual(first[0], first[1])
    XCTAssertGreaterThan(track.spent.seconds, 0)
  }

  func testTheMedianIsTheMiddleOrTheMeanOfBoth() {
    XCTAssertEqual(Distribution([3, 1, 2]).median, 2)
    XCTAssertEqual(Distribution([4, 1, 2, 3]).median, 2.5)
    XCTAssertEqual(Distribution([5]).median, 5)
    XCTAssertEqual(Distribution([3, 1, 2]).minimum, 1)
    XCTAssertEqual(Distribution([3, 1, 2]).maximum, 3)
    XCTAssertEqual(Distribution([3, 1, 2]).total, 6)
  }

  /// A track's channels.
  private func blocks(of track: SyntheticTrack) throws -> [[Float]] {
    let reader = try track.reader()
    var channels: [[Float]] = [[], []]
    while let block = try reader.nextBlock() {
      for channel in 0..<2 { channels[channel] += block[channel] }
    }
    return channels
  }
}
