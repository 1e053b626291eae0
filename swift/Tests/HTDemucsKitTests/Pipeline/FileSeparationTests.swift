import Foundation
import XCTest

@testable import HTDemucsKit

final class FileSeparationTests: XCTestCase {
  private let segmentSamples = 4410
  private var workspace: Workspace!

  override func setUpWithError() throws { workspace = try Workspace() }
  override func tearDown() { workspace = nil }

  func testStemsAreFilesAtTheInputsRateAndLength() async throws {
    for (sampleRateHz, channels) in [(44_100, 2), (48_000, 2), (22_050, 1), (96_000, 1)] {
      let mix = try Waveform(noise(9999 * channels).map { 0.25 * $0 }, signals: channels)
      let song = try workspace.wav(mix, "song.wav", sampleRateHz: sampleRateHz)
      let result = try await separate(song, .gains([1, 0], segmentSamples: segmentSamples))
      XCTAssertEqual(Set(result.files.keys), [.drums, .vocals])
      for file in result.files.values {
        let input = try AudioInput(contentsOf: file, allowsDownmix: false)
        XCTAssertEqual(input.frames, 9999)
        XCTAssertEqual(input.sampleRateHz, Double(sampleRateHz))
      }
      XCTAssertEqual(
        result.files[.drums]?.path, workspace.url("stems/song/drums.wav").path)
    }
  }

  func testAPassThroughGivesTheFileBack() async throws {
    let mix = try stereoNoise(12_345)
    let result = try await separate(workspace.wav(mix), .gains([1, 0], segmentSamples: segmentSamples))
    XCTAssertLessThan(largestDifference(try samples(of: XCTUnwrap(result.files[.drums])).values, mix.values), 1e-6)
    XCTAssertTrue(try samples(of: XCTUnwrap(result.files[.vocals])).values.allSatisfy { $0 == 0 })
  }

  func testResamplingThereAndBackKeepsATone() async throws {
    let tone = (0..<48_000).map { Float(0.5 * sin(2 * Double.pi * 440 * Double($0) / 48_000)) }
    let song = try workspace.wav(Waveform(tone + tone, signals: 2), "tone.wav", sampleRateHz: 48_000)
    let result = try await separate(song, .gains([1, 0], segmentSamples: segmentSamples))
    let stem = try samples(of: XCTUnwrap(result.files[.drums]))
    XCTAssertGreaterThan(snrDB(stem[0][5000..<43_000], reference: tone[5000..<43_000]), 95)
  }

  func testTwoStemsAddUpToTheFileAtAnyRate() async throws {
    for sampleRateHz in [44_100, 48_000] {
      let mix = try stereoNoise(10_000)
      let song = try workspace.wav(mix, "song.wav", sampleRateHz: sampleRateHz)
      let options = FileOptions(separation: SeparationOptions(selection: .twoStems(.vocals)))
      let result = try await separate(song, .contextDependent(segmentSamples: segmentSamples), options)
      let parts = try result.files.values.map { try samples(of: $0).values }
      XCTAssertEqual(parts.count, 2)
      let sum = zip(parts[0], parts[1]).map { $0 + $1 }
      XCTAssertLessThan(largestDifference(sum, mix.values), 5e-7, "\(sampleRateHz)")
    }
  }

  func testFormatsAndSuffixesAreTheChosenOnes() async throws {
    let song = try workspace.wav(stereoNoise(3000))
    let options = FileOptions(
      separation: SeparationOptions(selection: .only([.vocals])), format: try AudioFileFormat(.flac, .int16))
    let result = try await separate(song, .gains([1, 0.5], segmentSamples: segmentSamples), options)
    let file = try XCTUnwrap(result.files[.vocals])
    XCTAssertEqual(file.lastPathComponent, "vocals.flac")
    XCTAssertEqual(try Data(contentsOf: file).prefix(4), Data("fLaC".utf8))
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: file.deletingLastPathComponent().path).count, 1)
  }

  func testIntegersThatWouldBeCutAreMadeQuieterUnlessSaidOtherwise() async throws {
    let song = try workspace.wav(stereoNoise(3000))
    let int16 = try AudioFileFormat(.wav, .int16)
    let model = { FakeModel.gains([3, 0.5], segmentSamples: self.segmentSamples) }
    let quieter = try await separate(song, model(), FileOptions(format: int16))
    guard case .madeQuieter(.drums, _)? = quieter.warnings.first else { return XCTFail("\(quieter.warnings)") }
    let cut = try await separate(song, model(), FileOptions(format: int16, clipMode: ClipMode.none))
    guard case .cut(.drums, _)? = cut.warnings.first else { return XCTFail("\(cut.warnings)") }
    XCTAssertEqual([quieter.warnings.count, cut.warnings.count], [1, 1])
    let floats = try await separate(song, model())
    XCTAssertEqual(floats.warnings, [])
  }

  func testOtherFilesInTheFolderAreLeftAloneAndStemsAreReplaced() async throws {
    let song = try workspace.wav(stereoNoise(3000))
    let folder = workspace.url("stems/song")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data("keep".utf8).write(to: folder.appending(path: "notes.txt"))
    try Data("old".utf8).write(to: folder.appending(path: "drums.wav"))
    _ = try await separate(song, .gains([1, 1], segmentSamples: segmentSamples))
    XCTAssertEqual(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted(),
      ["drums.wav", "notes.txt", "vocals.wav"])
    XCTAssertGreaterThan(try Data(contentsOf: folder.appending(path: "drums.wav")).count, 3000)
    XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: workspace.url("stems").path), ["song"])
  }

  // MARK: - All or nothing

  func testSamplesThatLeaveFloatsRangeOnTheirWayAreRefused() async throws {
    // The network's stems are finite; a resampler overshoots, and the rest of a mix is farther away than both.
    let loud: Float = 3.4e38
    let square = (0..<20_000).map { Float($0 / 40 % 2 == 0 ? 1 : -1) }
    let twoStems = SeparationOptions(selection: .twoStems(.drums))
    for (sampleRateHz, gain, options) in [(48_000, loud, SeparationOptions()), (44_100, -loud, twoStems)] {
      let mix = try Waveform((square + square).map { sampleRateHz == 44_100 ? 1e37 * $0 : $0 }, signals: 2)
      let song = try workspace.wav(mix, sampleRateHz: sampleRateHz)
      let model = FakeModel(segmentSamples: segmentSamples) { mix in
        [mix.map { $0.map { gain * ($0 > 0 ? 1 : -1) } }, mix]
      }
      do {
        _ = try await separate(song, model, FileOptions(separation: options, format: AudioFileFormat(.wav, .int16)))
        XCTFail("infinity was written")
      } catch {
        guard case .nonFiniteOutput? = error as? AudioProcessingError else { return XCTFail("\(error)") }
      }
      XCTAssertEqual(try workspace.contents(), ["song.wav"])
    }
  }

  func testAFailureLeavesNothingBehind() async throws {
    let song = try workspace.wav(stereoNoise(20_000))
    for misfortunes: [FakeModel.Misfortune] in [[.none, .none, .failure, .failure], [.none, .nan(source: 0)]] {
      let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples, misfortunes: misfortunes)
      do {
        _ = try await separate(song, model)
        XCTFail("the failure was not told")
      } catch {
        XCTAssertTrue(error is AudioProcessingError, "\(error)")
      }
      XCTAssertEqual(try workspace.contents(), ["song.wav"])
    }
  }

  func testCancellationLeavesNothingBehind() async throws {
    let song = try workspace.wav(stereoNoise(20_000))
    let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples, misfortunes: [.none, .none, .hang])
    let folder = workspace.url("stems")
    let task = Task { _ = try await separateFile(song, model, FileOptions(), to: folder) }
    while model.predictions < 3 { try await Task.sleep(for: .milliseconds(2)) }
    XCTAssertGreaterThan(try workspace.contents().count, 2, "nothing was written so far")
    task.cancel()
    do {
      try await task.value
      XCTFail("a cancelled separation ended well")
    } catch {
      XCTAssertTrue(error is CancellationError, "\(error)")
    }
    XCTAssertEqual(try workspace.contents(), ["song.wav"])
  }

  func testCancellationInTheLastMomentLeavesNothingBehind() async throws {
    let song = try workspace.wav(stereoNoise(5000))
    let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples)
    let (separator, plan) = (try SegmentSeparator(model: model), try ChunkPlan.design(segmentSamples: segmentSamples))
    let separation = try FileSeparation(
      song, to: workspace.url("stems"), options: FileOptions(), available: model.sources)
    let task = Task {
      _ = try await separation.run(separator, plan) { progress in
        if progress.fraction == 1 { withUnsafeCurrentTask { $0?.cancel() } }
      }
    }
    do {
      try await task.value
      XCTFail("a cancelled separation ended well")
    } catch {
      XCTAssertTrue(error is CancellationError, "\(error)")
    }
    XCTAssertEqual(try workspace.contents(), ["song.wav"])
  }

  func testAFolderThatBecomesAFileMeanwhileIsAnErrorThatNamesIt() throws {
    let target = workspace.url("song")
    let folder = try StemFolder(for: target)
    try Data("stem".utf8).write(to: folder.staging.appending(path: "drums.wav"))
    try Data("a file".utf8).write(to: target)
    assertThrows(AudioProcessingError.unwritable(path: target.path, reason: "Not a directory")) { try folder.commit() }
    folder.discard()
    XCTAssertEqual(try workspace.contents(), ["song"])
  }

  func testAFileThatTurnsOutDamagedLeavesNothingBehind() async throws {
    var mix = try stereoNoise(300_000)
    mix.values[299_000] = .nan
    let song = try workspace.wav(mix)
    do {
      _ = try await separate(song, .gains([1, 1], segmentSamples: segmentSamples))
      XCTFail("NaN was accepted")
    } catch {
      guard case .unreadableFile? = error as? AudioProcessingError else { return XCTFail("\(error)") }
    }
    XCTAssertEqual(try workspace.contents(), ["song.wav"])
  }

  func testAFolderThatCannotBeWrittenIsAnErrorThatNamesIt() async throws {
    let song = try workspace.wav(stereoNoise(100))
    try Data("a file".utf8).write(to: workspace.url("stems"))
    do {
      _ = try await separate(song, .gains([1, 1], segmentSamples: segmentSamples))
      XCTFail("a file was taken for a folder")
    } catch {
      guard case .unwritable(let path, _)? = error as? AudioProcessingError else { return XCTFail("\(error)") }
      XCTAssertEqual(path, workspace.url("stems/song").path)
    }
    XCTAssertEqual(try workspace.contents(), ["song.wav", "stems"])
  }

  func testWhatCannotBeReplacedIsFoundBeforeTheNetworkRuns() async throws {
    // The folder of stems would be the song itself; a stem would be a folder; a folder is no place at all.
    let nameless = try workspace.wav(stereoNoise(100), "song")
    let song = try workspace.wav(stereoNoise(100))
    let folder = workspace.url("stems/song/vocals.wav")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let cases: [(URL, to: URL, path: String)] = [
      (nameless, to: workspace.folder, path: nameless.path), (song, to: workspace.url("stems"), path: folder.path),
      (song, to: try XCTUnwrap(URL(string: "x:")), path: "x:"),
      (song, to: try XCTUnwrap(URL(string: "https://example.com/stems")), path: "https://example.com/stems"),
    ]
    for (song, target, path) in cases {
      let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples)
      do {
        _ = try await separateFile(song, model, FileOptions(), to: target)
        XCTFail("\(path) was accepted")
      } catch {
        guard case .unwritable(path, _)? = error as? AudioProcessingError else { return XCTFail("\(error)") }
      }
      XCTAssertEqual(model.predictions, 0)
    }
    XCTAssertEqual(try workspace.contents(), ["song", "song.wav", "stems", "stems/song", "stems/song/vocals.wav"])
  }

  func testNamesOfAnyCharactersAreThoseOfTheFolder() async throws {
    for name in ["~", "a%20b", "a?b#c", "-rf", "...", "e\u{301}", "tab\there", "a;b:c", "name."] {
      let song = try workspace.wav(stereoNoise(10), "\(name).wav")
      let result = try await separate(song, .gains([1, 1], segmentSamples: segmentSamples))
      XCTAssertEqual(result.files[.drums].map { FileManager.default.fileExists(atPath: $0.path) }, true, name)
      let folders = try FileManager.default.contentsOfDirectory(atPath: workspace.url("stems").path)
      XCTAssertTrue(folders.contains(name == "..." ? "....wav" : name), "\(name): \(folders)")
    }
  }

  func testAStemDoesNotReplaceItsInput() async throws {
    let folder = workspace.url("stems/drums")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let song = try workspace.wav(stereoNoise(100), "stems/drums/drums.wav")
    let before = try Data(contentsOf: song)
    do {
      _ = try await separate(song, .gains([1, 1], segmentSamples: segmentSamples))
      XCTFail("the input was replaced")
    } catch {
      XCTAssertEqual(error as? AudioProcessingError, .wouldReplaceInput(path: song.path))
    }
    XCTAssertEqual(try Data(contentsOf: song), before)
  }

  func testAStemDoesNotReplaceItsInputUnderAnotherName() async throws {
    let song = try workspace.wav(stereoNoise(100))
    let other = workspace.url("stems/song/vocals.wav")
    try FileManager.default.createDirectory(at: other.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.linkItem(at: song, to: other)
    do {
      _ = try await separate(song, .gains([1, 1], segmentSamples: segmentSamples))
      XCTFail("the input was replaced")
    } catch {
      XCTAssertEqual(error as? AudioProcessingError, .wouldReplaceInput(path: other.path))
    }
  }

  func testTheFolderIsCalledAfterTheSong() {
    let names = [
      "song.mp3": "song", "a.b.wav": "a.b", ".hidden": ".hidden", "noSuffix": "noSuffix", "..wav": "..wav", "x.": "x",
    ]
    for (file, folder) in names { XCTAssertEqual(songName(URL(filePath: "/music/\(file)")), folder) }
  }

  private func separate(
    _ song: URL, _ model: FakeModel, _ options: FileOptions = FileOptions()
  ) async throws -> (files: [StemType: URL], segments: [SegmentReport], warnings: [SeparationWarning]) {
    try await separateFile(song, model, options, to: workspace.url("stems"))
  }
}

/// A file through a network's own length of segments.
private func separateFile(
  _ song: URL, _ model: FakeModel, _ options: FileOptions, to folder: URL
) async throws -> (files: [StemType: URL], segments: [SegmentReport], warnings: [SeparationWarning]) {
  let separation = try FileSeparation(song, to: folder, options: options, available: model.sources)
  return try await separation.run(
    try SegmentSeparator(model: model), try .design(segmentSamples: model.segmentSamples), progress: nil)
}
