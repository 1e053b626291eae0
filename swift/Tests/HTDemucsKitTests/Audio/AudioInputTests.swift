import Foundation
import XCTest

@testable import HTDemucsKit

final class AudioInputTests: XCTestCase {
  #if os(Linux)
    private let isStandIn = true
  #else
    private let isStandIn = false
  #endif
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

  func testAFileThatHasChangedSinceItWasOpenedIsRefused() throws {
    let song = try workspace.wav(stereoNoise(1000))
    let input = try AudioInput(contentsOf: song, allowsDownmix: false)
    let changes = [
      (try stereoNoise(999), 44_100), (try stereoNoise(1001), 44_100), (try stereoNoise(1000), 48_000),
      (try Waveform(noise(1000), signals: 1), 44_100),
    ]
    for (waveform, sampleRateHz) in changes {
      _ = try workspace.wav(waveform, sampleRateHz: sampleRateHz)
      assertThrows(AudioProcessingError.unreadableFile(path: song.path, reason: "it changed while it was read")) {
        _ = try input.stereoReader()
      }
    }
  }

  func testAFileThatIsCutWhileItIsReadIsRefused() throws {
    let song = try workspace.wav(stereoNoise(200_000))
    let reader = try AudioInput(contentsOf: song, allowsDownmix: false).stereoReader()
    _ = try reader.nextBlock()
    XCTAssertEqual(truncate(song.path, 1_000_000), 0)
    XCTAssertThrowsError(try { while try reader.nextBlock() != nil {} }()) {
      XCTAssertTrue($0 is AudioProcessingError, "\($0)")
    }
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

  func testALinkToASongIsTheSong() throws {
    let link = workspace.url("link.wav")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: workspace.wav(stereoNoise(100)))
    XCTAssertEqual(try samples(of: link), try stereoNoise(100))
  }

  func testAFileWithoutSamplesIsRefused() throws {
    let file = try workspace.wav(Waveform(signals: 2, samples: 0))
    XCTAssertThrowsError(try AudioInput(contentsOf: file, allowsDownmix: false)) { error in
      guard case .unreadableFile? = error as? AudioProcessingError else { return XCTFail("\(error)") }
    }
  }

  func testARateThatNoRecordingHasIsRefused() throws {
    for sampleRateHz in [1, 999, 768_001, Int(Int32.max)] {
      let file = try workspace.wav(stereoNoise(10), "odd.wav", sampleRateHz: sampleRateHz)
      XCTAssertThrowsError(try AudioInput(contentsOf: file, allowsDownmix: false), "\(sampleRateHz)") { error in
        switch error as? AudioProcessingError {
        case .resampling(Double(sampleRateHz), 44_100, _): break
        // A system may refuse such a file itself.
        case .unreadableFile where !isStandIn: break
        default: XCTFail("\(error)")
        }
      }
    }
    for sampleRateHz in [1000, 768_000] {
      let file = try workspace.wav(stereoNoise(10), "odd.wav", sampleRateHz: sampleRateHz)
      XCTAssertEqual(try AudioInput(contentsOf: file, allowsDownmix: false).sampleRateHz, Double(sampleRateHz))
    }
  }

  func testALengthThatNoRecordingHasIsRefused() throws {
    // Core Audio Format, one channel of 8 bits; what is not written takes no room on the disk.
    func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }
    let frames = 1 << 36 + 1
    let head =
      Array("caff".utf8) + bytes(UInt16(1)) + bytes(UInt16(0)) + Array("desc".utf8) + bytes(UInt64(32))
      + bytes(Double(44_100).bitPattern) + Array("lpcm".utf8) + [0, 1, 1, 1, 8].flatMap { bytes(UInt32($0)) }
      + Array("data".utf8) + bytes(UInt64(frames + 4)) + bytes(UInt32(0))
    let file = workspace.url("long.caf")
    try Data(head).write(to: file)
    XCTAssertEqual(truncate(file.path, off_t(head.count + frames)), 0)
    XCTAssertThrowsError(try AudioInput(contentsOf: file, allowsDownmix: false)) { error in
      guard case .unreadableFile(_, let reason)? = error as? AudioProcessingError else { return XCTFail("\(error)") }
      if isStandIn { XCTAssertEqual(reason, "it states \(frames) frames, more than \(1 << 36)") }
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

  func testCountingTheFramesOfACompressedFileCanBeCancelled() async throws {
    // AU is none of the kinds whose stated length is believed.
    func bytes(_ number: Int) -> [UInt8] { withUnsafeBytes(of: UInt32(number).bigEndian, Array.init) }
    let head = Array(".snd".utf8) + [24, 4000, 3, 44_100, 2].flatMap(bytes)
    let file = workspace.url("song.au")
    try Data(head + [UInt8](repeating: 1, count: 4000)).write(to: file)
    XCTAssertEqual(try AudioInput(contentsOf: file, allowsDownmix: false).frames, 1000)
    await assertIsCancelled { _ = try AudioInput(contentsOf: file, allowsDownmix: false) }
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
