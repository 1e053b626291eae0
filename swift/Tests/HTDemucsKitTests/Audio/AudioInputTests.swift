import Foundation
import XCTest

@testable import HTDemucsKit

final class AudioInputTests: XCTestCase {
  private var workspace: Workspace!

  override func setUpWithError() throws { workspace = try Workspace() }
  override func tearDown() { workspace = nil }

  func testFloat32SamplesAreReadAsTheyAre() throws {
    let mix = try Waveform(noise(100_000).map { 3 * $0 } + noise(100_000, seed: 1), signals: 2)
    let file = try workspace.wav(mix)
    let input = try AudioInput(contentsOf: file, allowsDownmix: false)
    XCTAssertEqual(input.frames, 100_000)
    XCTAssertEqual(input.sampleRateHz, 44_100)
    XCTAssertTrue(try samples(of: file) == mix)
  }

  func testAFileCanBeReadAsOftenAsNeeded() throws {
    let input = try AudioInput(contentsOf: workspace.wav(stereoNoise(100)), allowsDownmix: false)
    let first = try XCTUnwrap(input.stereoReader().nextBlock())
    let second = try XCTUnwrap(input.stereoReader().nextBlock())
    XCTAssertEqual(first, second)
  }

  func testMonoIsDuplicatedAndMoreThanTwoChannelsAreMixedWhereAllowed() throws {
    let mono = try workspace.wav(Waveform([0.5, -0.25], signals: 1), "mono.wav")
    XCTAssertEqual(try samples(of: mono).values, [0.5, -0.25, 0.5, -0.25])
    let three = try workspace.wav(Waveform([0.5, 0, 0, 0.5, 0, 0], signals: 3), "three.wav")
    assertThrows(AudioProcessingError.channels(3, reason: .downmixIsOff)) {
      _ = try AudioInput(contentsOf: three, allowsDownmix: false)
    }
    XCTAssertEqual(try samples(of: three, allowsDownmix: true).samples, 2)
  }

  func testWhatIsNoAudioFileIsRefusedWithItsPath() throws {
    try FileManager.default.createDirectory(at: workspace.url("folder"), withIntermediateDirectories: true)
    try Data().write(to: workspace.url("empty.wav"))
    try Data("this is no audio, whatever its name says".utf8).write(to: workspace.url("text.wav"))
    XCTAssertEqual(mkfifo(workspace.url("pipe.wav").path, 0o600), 0)
    let reasons = [
      "missing.wav": "no such file", "folder": "a folder", "empty.wav": "0 bytes", "text.wav": "not an audio file",
      "pipe.wav": "not a regular file",
    ]
    for (name, reason) in reasons {
      XCTAssertThrowsError(try AudioInput(contentsOf: workspace.url(name), allowsDownmix: false), name) { error in
        guard case .unreadableFile(let path, let actual)? = error as? AudioProcessingError else {
          return XCTFail("\(name): \(error)")
        }
        XCTAssertEqual(path, workspace.url(name).path)
        XCTAssertTrue(actual.contains(reason), "\(name): \(actual)")
      }
    }
  }

  func testAFileWithoutSamplesIsRefused() throws {
    let file = try workspace.wav(Waveform(signals: 2, samples: 0))
    XCTAssertThrowsError(try AudioInput(contentsOf: file, allowsDownmix: false)) { error in
      guard case .unreadableFile? = error as? AudioProcessingError else { return XCTFail("\(error)") }
    }
  }

  func testATruncatedFileIsRefusedBeforeItIsRead() throws {
    let file = try workspace.wav(stereoNoise(1000))
    let whole = try Data(contentsOf: file)
    try whole.prefix(whole.count - 1001).write(to: file)
    assertThrows(AudioProcessingError.truncatedFile(path: file.path, missing: "1001 bytes")) {
      _ = try AudioInput(contentsOf: file, allowsDownmix: false)
    }
  }

  func testATruncatedFLACIsRefusedAtTheLatestWhereItEnds() throws {
    let url = workspace.url("song.flac")
    let file = try StemFile(
      creating: url, format: AudioFileFormat(.flac, .int16), clipMode: .none, sampleRateHz: 44_100,
      frames: 100_000)
    try file.write(stereoNoise(100_000))
    _ = try file.finish()
    let whole = try Data(contentsOf: url)
    try whole.prefix(whole.count / 2).write(to: url)
    XCTAssertThrowsError(try samples(of: url)) { XCTAssertTrue($0 is AudioProcessingError, "\($0)") }
  }

  func testNaNAndInfinityAreRefusedWithTheirPlace() throws {
    for value in [Float.nan, .infinity, -.infinity] {
      var mix = try stereoNoise(200_000)
      mix.values[200_000 + 150_000] = value
      let file = try workspace.wav(mix)
      XCTAssertThrowsError(try samples(of: file)) { error in
        guard case .unreadableFile(_, let reason)? = error as? AudioProcessingError else { return XCTFail("\(error)") }
        XCTAssertEqual(reason, "the sample at 3.401 s is NaN or infinite")
      }
    }
  }
}
