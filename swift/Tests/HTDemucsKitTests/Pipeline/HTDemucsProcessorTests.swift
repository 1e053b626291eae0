import Foundation
import XCTest

@testable import HTDemucsKit

/// The processor around a real package of the real architecture, small enough for a prediction to take moments.
final class HTDemucsProcessorTests: XCTestCase {
  private static let segmentSamples = 11_264
  private var workspace: Workspace!

  override func setUpWithError() throws { workspace = try Workspace() }
  override func tearDown() { workspace = nil }

  private func processor(package: URL? = nil) async throws -> HTDemucsProcessor {
    try await HTDemucsProcessor(
      package: package ?? TestPackages.small(), configuration: .init(compiledModels: workspace.url("compiled")))
  }

  /// The plan that the package's short segments need.
  private func options(_ selection: SeparationOptions.Selection = .all) throws -> SeparationOptions {
    SeparationOptions(selection: selection, customPlan: try .design(segmentSamples: Self.segmentSamples))
  }

  func testAllStemsAreGivenAtTheMixesLength() async throws {
    let processor = try await processor()
    let separation = try await processor.separate(stereoNoise(20_000), options: options())
    XCTAssertEqual(Set(separation.stems.keys), [.drums, .bass, .other, .vocals, .guitar, .piano])
    for (stem, waveform) in separation.stems {
      XCTAssertEqual([waveform.signals, waveform.samples], [2, 20_000], "\(stem)")
      XCTAssertTrue(waveform.values.contains { $0 != 0 }, "\(stem)")
    }
    XCTAssertEqual(separation.report.segments.map(\.index), [0, 1, 2])
    XCTAssertEqual(separation.report.packageSHA256, processor.package.sha256)
    XCTAssertEqual(separation.report.warnings, [])
    XCTAssertGreaterThan(separation.report.peakMemoryBytes, 1 << 20)
    XCTAssertGreaterThan(separation.report.loadSeconds, 0)
    XCTAssertGreaterThan(separation.report.wallSeconds, separation.report.loadSeconds)
    let again = try await processor.separate(stereoNoise(100), options: options())
    XCTAssertEqual(again.report.loadSeconds, 0)
  }

  func testStemsAreThoseOfUpstreamsWholeModel() async throws {
    let goldens = try GoldenStore.small()
    let folder = "whole_model/fixture_\(Self.segmentSamples)"
    let mix = try Waveform(
      goldens.load("\(folder)/input", as: Float.self, shape: [2, Self.segmentSamples]), signals: 2)
    let processor = try await processor(package: TestPackages.shortFixture())
    // One segment, whose weights are 1.
    let plan = try ChunkPlan.design(overlap: 0, segmentSamples: Self.segmentSamples)
    let separation = try await processor.separate(mix, options: SeparationOptions(customPlan: plan))
    let slice = try XCTUnwrap(goldens.entry("\(folder)/stems").slice)
    let kept = Array(stride(from: slice.start, to: slice.stop, by: slice.step))
    let expected = try goldens.load("\(folder)/stems", as: Float.self, shape: [6, 2, kept.count])
    for (place, stem) in processor.stems.enumerated() {
      let actual = try (0..<2).flatMap { channel in
        try kept.map { try XCTUnwrap(separation.stems[stem])[channel][$0 + channel * Self.segmentSamples] }
      }
      let reference = expected[2 * place * kept.count..<2 * (place + 1) * kept.count]
      XCTAssertGreaterThanOrEqual(snrDB(actual, reference: reference), 100, "\(stem)")
      for other in 0..<6 where other != place {
        let swapped = expected[2 * other * kept.count..<2 * (other + 1) * kept.count]
        XCTAssertLessThan(snrDB(actual, reference: swapped), 60, "\(stem) is taken for another")
      }
    }
  }

  func testTwoStemsAddUpToTheMix() async throws {
    let processor = try await processor()
    let mix = try stereoNoise(15_000)
    let separation = try await processor.separate(mix, options: options(.twoStems(.vocals)))
    XCTAssertEqual(Set(separation.stems.keys.map(\.rawValue)), ["vocals", "no_vocals"])
    let (vocals, rest) = (
      try XCTUnwrap(separation.stems[.vocals]), try XCTUnwrap(separation.stems[StemType(rawValue: "no_vocals")])
    )
    for index in mix.values.indices {
      XCTAssertEqual(vocals.values[index] + rest.values[index], mix.values[index], accuracy: 1e-6)
    }
    let alone = try await processor.separate(mix, options: options(.only([.vocals])))
    XCTAssertEqual(largestDifference(alone.stems[.vocals]?.values ?? [], vocals.values), 0)
  }

  func testMonoIsTakenForBothChannels() async throws {
    let processor = try await processor()
    let mono = noise(5000)
    let fromMono = try await processor.separate(try Waveform(mono, signals: 1), options: options())
    let fromStereo = try await processor.separate(try Waveform(mono + mono, signals: 2), options: options())
    XCTAssertEqual(largestDifference(fromMono.stems[.bass]?.values ?? [], fromStereo.stems[.bass]?.values ?? [1]), 0)
  }

  func testTenConcurrentCallsGiveEachItsOwnStems() async throws {
    let processor = try await processor()
    let options = try options(.only([.drums]))
    let alone = try await processor.separate(stereoNoise(3000, seed: 7), options: options).stems[.drums]
    try await withThrowingTaskGroup(of: (UInt64, Waveform?).self) { group in
      for seed in UInt64(0)..<10 {
        group.addTask {
          (seed, try await processor.separate(stereoNoise(3000, seed: seed), options: options).stems[.drums])
        }
      }
      var seen: [Waveform] = []
      for try await (seed, stem) in group {
        let stem = try XCTUnwrap(stem)
        XCTAssertFalse(seen.contains(stem), "two calls got the same stem")
        seen.append(stem)
        if seed == 7 { XCTAssertTrue(stem == alone, "a stem depends on who else asks") }
      }
      XCTAssertEqual(seen.count, 10)
    }
  }

  func testACancelledCallEndsSoonAndTheNextWorks() async throws {
    let processor = try await processor()
    try await processor.prewarm()
    let options = try options()
    let mix = try stereoNoise(400_000)
    let started = ContinuousClock.now
    let task = Task { try await processor.separate(mix, options: options) }
    try await Task.sleep(for: .milliseconds(300))
    task.cancel()
    do {
      _ = try await task.value
      XCTFail("a cancelled call ended well")
    } catch {
      XCTAssertTrue(error is CancellationError, "\(error)")
    }
    XCTAssertLessThan(ContinuousClock.now - started, .seconds(5))
    let separation = try await processor.separate(stereoNoise(100), options: options)
    XCTAssertEqual(separation.stems[.drums]?.samples, 100)
  }

  func testACallThatIsCancelledWhileItWaitsDoesNotRun() async throws {
    let processor = try await processor()
    let options = try options()
    let mix = try stereoNoise(100_000)
    let first = Task { try await processor.separate(mix, options: options) }
    let second = Task { try await processor.separate(mix, options: options) }
    second.cancel()
    do {
      _ = try await second.value
      XCTFail("a cancelled call ended well")
    } catch {
      XCTAssertTrue(error is CancellationError, "\(error)")
    }
    _ = try await first.value
  }

  func testAudioThatCannotBeSeparatedIsRefusedBeforeAnythingRuns() async throws {
    let processor = try await processor()
    let cases: [(Waveform, AudioProcessingError)] = [
      (Waveform(signals: 2, samples: 0), .emptyTrack(samples: 0)),
      (try Waveform([0, 0, 0], signals: 3), .channels(3, reason: .downmixIsOff)),
      (try Waveform([0, 0, 0, .nan], signals: 2), .nonFiniteSample(signal: 1, sample: 1)),
      (try Waveform([-.infinity, 0], signals: 1), .nonFiniteSample(signal: 0, sample: 0)),
    ]
    for (waveform, expected) in cases {
      do {
        _ = try await processor.separate(waveform, options: options())
        XCTFail("\(expected) was accepted")
      } catch {
        XCTAssertEqual(error as? AudioProcessingError, expected)
      }
    }
  }

  func testARateThatNoAudioHasIsRefused() async throws {
    let processor = try await processor()
    for rateHz in [0, -44_100, 0.5, 1e-300, 2_147_483_648, 1e300, .infinity, .nan] {
      do {
        _ = try await processor.separate(stereoNoise(100), sampleRateHz: rateHz, options: options())
        XCTFail("\(rateHz) Hz was accepted")
      } catch {
        guard case .resampling(let fromHz, _, _)? = error as? AudioProcessingError else { return XCTFail("\(error)") }
        XCTAssertEqual(fromHz.bitPattern, rateHz.bitPattern)
      }
    }
  }

  func testAWaveformWhoseSamplesWereChangedInNumberIsRefused() async throws {
    let processor = try await processor()
    var shorter = try stereoNoise(100)
    shorter.values.removeLast()
    do {
      _ = try await processor.separate(shorter, options: options())
      XCTFail("199 samples were taken for 2 x 100")
    } catch {
      XCTAssertEqual(
        error as? AudioProcessingError, .bufferSize(buffer: "waveform", values: 199, requiredValues: 200))
    }
  }

  func testOptionsThatDoNotFitThePackageAreRefused() async throws {
    let processor = try await processor()
    assertThrows(AudioProcessingError.noPlan(packageSegmentSamples: Self.segmentSamples)) {
      _ = try processor.outputs(SeparationOptions())
    }
    assertThrows(
      AudioProcessingError.planDoesNotFit(
        plan: .demucs, planSegmentSamples: 343_980, packageSegmentSamples: Self.segmentSamples)
    ) { _ = try processor.outputs(SeparationOptions(customPlan: try .demucs())) }
    assertThrows(AudioProcessingError.unknownStem("choir", available: processor.stems)) {
      _ = try processor.outputs(options(.only([StemType(rawValue: "choir")])))
    }
    XCTAssertEqual(try processor.outputs(options(.twoStems(.bass))).map(\.rawValue), ["bass", "no_bass"])
  }

  // MARK: - Loading

  func testACompiledModelIsMadeOnceForAPackage() async throws {
    _ = try await processor().prewarm()
    let entries = try FileManager.default.contentsOfDirectory(atPath: workspace.url("compiled").path)
    XCTAssertEqual(entries.count, 1)
    XCTAssertTrue(entries[0].hasPrefix(try ModelPackage(contentsOf: TestPackages.small()).sha256), entries[0])
    let entry = workspace.url("compiled").appending(path: entries[0])
    let made = try FileManager.default.attributesOfItem(atPath: entry.path)[.creationDate] as? Date
    _ = try await processor().prewarm()
    let again = try FileManager.default.contentsOfDirectory(atPath: workspace.url("compiled").path)
    XCTAssertEqual(again, entries)
    XCTAssertEqual(try FileManager.default.attributesOfItem(atPath: entry.path)[.creationDate] as? Date, made)
  }

  func testACompiledModelThatDoesNotLoadIsMadeAnew() async throws {
    try await processor().prewarm()
    let cache = CompiledModelCache(folder: workspace.url("compiled"))
    let entry = cache.entry(for: try ModelPackage(contentsOf: TestPackages.small()))
    for file in try FileManager.default.subpathsOfDirectory(atPath: entry.path) where file.hasSuffix("weight.bin") {
      try FileManager.default.removeItem(at: entry.appending(path: file))
    }
    let separation = try await processor().separate(stereoNoise(100), options: options())
    XCTAssertEqual(separation.stems.count, 6)
  }

  func testProcessorsMayShareACache() async throws {
    let processors = try await [processor(), processor(), processor()]
    try await withThrowingTaskGroup(of: Void.self) { group in
      for processor in processors { group.addTask { try await processor.prewarm() } }
      try await group.waitForAll()
    }
    let entries = try FileManager.default.contentsOfDirectory(atPath: workspace.url("compiled").path)
    XCTAssertEqual(entries.count, 1, "\(entries)")
  }

  func testACacheThatCannotBeWrittenIsAnErrorThatNamesIt() async throws {
    try Data().write(to: workspace.url("compiled"))
    do {
      try await processor().prewarm()
      XCTFail("a file was taken for a folder")
    } catch {
      guard case .cache(let folder, _)? = error as? PackageError else { return XCTFail("\(error)") }
      XCTAssertEqual(folder, workspace.url("compiled").path)
    }
  }

  func testAfterAFailureToLoadTheNextCallTriesAgain() async throws {
    try Data().write(to: workspace.url("compiled"))
    let processor = try await processor()
    await assertThrowsError { try await processor.prewarm() }
    await assertThrowsError { _ = try await processor.separate(stereoNoise(100), options: self.options()) }
    try FileManager.default.removeItem(at: workspace.url("compiled"))
    try await processor.prewarm()
  }

  func testACompiledModelBelongsToAPackageAndASystem() throws {
    let package = try ModelPackage(contentsOf: TestPackages.small())
    let system = ProcessInfo.processInfo.operatingSystemVersion
    let version = "\(system.majorVersion).\(system.minorVersion).\(system.patchVersion)"
    XCTAssertEqual(
      CompiledModelCache(folder: workspace.folder).entry(for: package).lastPathComponent,
      "\(package.sha256)-\(version).mlmodelc")
  }

  private func assertThrowsError(_ body: () async throws -> Void) async {
    do {
      try await body()
      XCTFail("nothing was thrown")
    } catch {
      XCTAssertTrue(error is PackageError, "\(error)")
    }
  }

  func testAPackageToFallBackToHasToBeOfTheSameWeightsAndShorter() async throws {
    let (long, short) = (try TestPackages.fixture(.design), try TestPackages.fixture(.demucs))
    _ = try await HTDemucsProcessor(package: long, configuration: .init(fallbackPackage: short))
    for (package, fallback) in [(short, long), (long, long), (long, try TestPackages.small())] {
      do {
        _ = try await HTDemucsProcessor(package: package, configuration: .init(fallbackPackage: fallback))
        XCTFail("\(fallback.lastPathComponent) was accepted for \(package.lastPathComponent)")
      } catch {
        guard case .unrelatedFallback? = error as? PackageError else { return XCTFail("\(error)") }
      }
    }
  }

  #if os(Linux)
    func testAnInterpreterThatDiesInTheMiddleIsStartedAgain() async throws {
      let processor = try await processor()
      try await processor.prewarm()
      let options = try options(.only([.drums]))
      let mix = try stereoNoise(200_000)
      // When the first segment is done, the second is in the network.
      let (progress, told) = AsyncStream.makeStream(of: Int.self)
      let task = Task {
        try await processor.separate(mix, options: options) { told.yield($0.segmentsDone) }
      }
      for await segmentsDone in progress where segmentsDone == 1 { break }
      try await Task.sleep(for: .milliseconds(50))
      for child in children() { kill(child, SIGKILL) }
      let separation = try await task.value
      XCTAssertEqual(separation.report.retries, 1)
      XCTAssertEqual(separation.report.warnings.count, 1)
      let undisturbed = try await processor.separate(mix, options: options)
      XCTAssertEqual(
        largestDifference(separation.stems[.drums]?.values ?? [], undisturbed.stems[.drums]?.values ?? [1]), 0)
    }

    /// Processes that this one started.
    private func children() -> [pid_t] {
      let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return processes.compactMap { pid_t($0) }.filter { process in
        let status = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        let fields = status.split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 1 && pid_t(fields[1]) == getpid()
      }
    }
  #endif
}
