import AVFoundation
import XCTest

/// What Apple documents of `AVAudioFile`; on Linux it is the stand-in that has to comply.
///
/// Sources: developer.apple.com/documentation/avfaudio/avaudiofile, and the SDK's `AVAudioFile.h`.
final class AudioFileTests: XCTestCase {
  private static var pcm: [String: Any] { [AVFormatIDKey: kAudioFormatLinearPCM, AVLinearPCMIsFloatKey: false] }
  private static var flac: [String: Any] { [AVFormatIDKey: kAudioFormatFLAC] }

  /// Extension, bits and settings of every kind of file that is written.
  private static var kinds: [(suffix: String, bits: Int, settings: [String: Any])] {
    [
      ("wav", 32, pcm.with(AVLinearPCMBitDepthKey, 32).with(AVLinearPCMIsFloatKey, true)),
      ("wav", 24, pcm.with(AVLinearPCMBitDepthKey, 24)),
      ("wav", 16, pcm.with(AVLinearPCMBitDepthKey, 16).with(AVLinearPCMIsBigEndianKey, false)),
      ("aiff", 24, pcm.with(AVLinearPCMBitDepthKey, 24).with(AVLinearPCMIsBigEndianKey, true)),
      ("aiff", 16, pcm.with(AVLinearPCMBitDepthKey, 16).with(AVLinearPCMIsBigEndianKey, true)),
      ("caf", 32, pcm.with(AVLinearPCMBitDepthKey, 32).with(AVLinearPCMIsFloatKey, true)),
      ("caf", 16, pcm.with(AVLinearPCMBitDepthKey, 16)),
      ("flac", 24, flac.with(AVEncoderBitDepthHintKey, 24)),
      ("flac", 16, flac.with(AVEncoderBitDepthHintKey, 16)),
    ]
  }

  private var folder = URL(filePath: "/")

  override func setUpWithError() throws { folder = try temporaryFolder() }
  override func tearDownWithError() throws { try FileManager.default.removeItem(at: folder) }

  func testWhatWasWrittenIsReadInEveryKindOfFile() throws {
    for (suffix, bits, settings) in Self.kinds {
      let step = bits == 32 ? 0 : Float(1) / Float(1 << (bits - 1))
      let written = [noise(10_000), noise(10_000).reversed()].map { $0.map { gridded($0, step) } }
      let file = folder.appending(path: "\(bits).\(suffix)")
      try write(written, settings, to: file)
      let audio = try AVAudioFile(forReading: file)
      XCTAssertEqual(audio.length, 10_000, "\(bits).\(suffix)")
      XCTAssertEqual(audio.fileFormat.sampleRate, 44100)
      XCTAssertEqual(audio.fileFormat.channelCount, 2)
      for (actual, expected) in zip(try readAll(audio), written) {
        #if os(Linux)
          XCTAssertEqual(actual, expected, "\(bits).\(suffix)")
        #else
          assertEqual(actual, expected, accuracy: step)
        #endif
      }
    }
  }

  func testSamplesAreReadAsPlanesOfFloat32() throws {
    let audio = try AVAudioFile(forReading: ramp(frames: 100))
    XCTAssertEqual(audio.processingFormat, try planarFormat(44100, channels: 2))
    XCTAssertEqual(audio.fileFormat.commonFormat, .pcmFormatFloat32)
    XCTAssertTrue(audio.fileFormat.isInterleaved)
    XCTAssertEqual(try readAll(audio), Self.ramp(0..<100))
  }

  func testTheProcessingFormatMayBeInterleaved() throws {
    let audio = try AVAudioFile(forReading: ramp(frames: 100), commonFormat: .pcmFormatFloat32, interleaved: true)
    XCTAssertTrue(audio.processingFormat.isInterleaved)
    XCTAssertEqual(try readAll(audio), Self.ramp(0..<100))
  }

  func testReadingGoesOnWhereItEndedAndIsShortAtTheEnd() throws {
    let audio = try AVAudioFile(forReading: ramp(frames: 1000))
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: audio.processingFormat, frameCapacity: 600))
    XCTAssertEqual(audio.framePosition, 0)
    try audio.read(into: buffer)
    XCTAssertEqual(buffer.channels, Self.ramp(0..<600))
    XCTAssertEqual(audio.framePosition, 600)
    try audio.read(into: buffer, frameCount: 50)
    XCTAssertEqual(buffer.channels, Self.ramp(600..<650))
    try audio.read(into: buffer)
    XCTAssertEqual(buffer.channels, Self.ramp(650..<1000))
    XCTAssertEqual(audio.framePosition, audio.length)
  }

  /// The documentation says only that `frameLength` is how many frames were read.
  ///
  /// At the end, Apple's `readIntoBuffer:error:` was seen to return NO without an error, which Swift throws as a
  /// `nilError` (github.com/FluidInference/FluidAudio/pull/845). So a reader has to be ready for both.
  func testAtTheEndNoFrameIsRead() throws {
    let audio = try AVAudioFile(forReading: ramp(frames: 10))
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: audio.processingFormat, frameCapacity: 10))
    try audio.read(into: buffer)
    #if os(Linux)
      XCTAssertThrowsError(try audio.read(into: buffer)) { XCTAssertEqual(($0 as NSError).code, -39) }
    #else
      try? audio.read(into: buffer)
    #endif
    XCTAssertEqual(buffer.frameLength, 0)
    XCTAssertEqual(audio.framePosition, 10)
  }

  func testReadingMayStartAnywhere() throws {
    for suffix in ["wav", "flac"] {
      let audio = try AVAudioFile(forReading: ramp(frames: 10_000, suffix))
      let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: audio.processingFormat, frameCapacity: 100))
      for start in [7000, 10, 0, 9950] {
        audio.framePosition = AVAudioFramePosition(start)
        try audio.read(into: buffer)
        XCTAssertEqual(buffer.channels, Self.ramp(start..<min(start + 100, 10_000)), "from \(start), \(suffix)")
      }
    }
  }

  func testEveryWriteIsAppended() throws {
    let file = folder.appending(path: "parts.wav")
    let format = try planarFormat(44100, channels: 2)
    let audio = try AVAudioFile(
      forWriting: file, settings: Self.kinds[0].settings.complete, commonFormat: .pcmFormatFloat32, interleaved: false)
    XCTAssertEqual(audio.processingFormat, format)
    for part in [0..<1, 1..<8200, 8200..<20_000] {
      try audio.write(from: .holding(Self.ramp(part), format))
      XCTAssertEqual(audio.framePosition, AVAudioFramePosition(part.upperBound))
      XCTAssertEqual(audio.length, AVAudioFramePosition(part.upperBound))
    }
    audio.close()
    XCTAssertEqual(try readAll(AVAudioFile(forReading: file)), Self.ramp(0..<20_000))
  }

  func testOnlyTheValidFramesOfABufferAreWritten() throws {
    let file = folder.appending(path: "short.wav")
    let buffer = try AVAudioPCMBuffer.holding(Self.ramp(0..<100), planarFormat(44100, channels: 2))
    buffer.frameLength = 30
    try write(buffer, Self.kinds[0].settings, to: file)
    XCTAssertEqual(try readAll(AVAudioFile(forReading: file)), Self.ramp(0..<30))
  }

  func testAFileIsOverwritten() throws {
    let file = folder.appending(path: "twice.wav")
    for frames in [1000, 10] { try write(Self.ramp(0..<frames), Self.kinds[0].settings, to: file) }
    XCTAssertEqual(try AVAudioFile(forReading: file).length, 10)
  }

  func testSamplesBeyondFullScaleAreCutInFilesOfIntegers() throws {
    for (suffix, bits, settings) in Self.kinds where bits < 32 {
      let file = folder.appending(path: "\(bits).\(suffix)")
      try write([[1.5, -1.5, 1, -1], [0, 0, 0, 0]], settings, to: file)
      let step = Float(1) / Float(1 << (bits - 1))
      let read = try readAll(AVAudioFile(forReading: file))
      assertEqual(read[0], [1 - step, -1, 1 - step, -1], accuracy: step)
    }
  }

  #if os(Linux)
    func testIntegersAreTheNearestAndTheEvenOfTwoThatAreAsNear() throws {
      for (suffix, bits, settings) in Self.kinds where bits < 32 {
        let file = folder.appending(path: "\(bits).\(suffix)")
        let step = Float(1) / Float(1 << (bits - 1))
        try write([[0.4, 0.5, 0.6, 1.5, 2.5, -0.5, -0.6].map { $0 * step }], settings, channels: 1, to: file)
        XCTAssertEqual(try readAll(AVAudioFile(forReading: file))[0], [0, 0, 1, 2, 2, 0, -1].map { $0 * step })
      }
    }

    func testAnIntegerCannotBeNaN() {
      XCTAssertThrowsError(try write([[.nan], [0]], Self.kinds[1].settings, to: folder.appending(path: "nan.wav")))
    }
  #endif

  func testFloatingPointSamplesBeyondFullScaleAreKept() throws {
    let file = folder.appending(path: "loud.wav")
    try write([[1.5, -2], [0, 0]], Self.kinds[0].settings, to: file)
    XCTAssertEqual(try readAll(AVAudioFile(forReading: file))[0], [1.5, -2])
  }

  func testTheSameSamplesGiveTheSameBytes() throws {
    for (suffix, bits, settings) in Self.kinds {
      let files = try (0..<2).map { index in
        let file = folder.appending(path: "\(index)-\(bits).\(suffix)")
        try write([noise(5000), noise(5000)], settings, to: file)
        return try Data(contentsOf: file)
      }
      XCTAssertEqual(files[0], files[1])
      #if os(Linux)
        for chunk in ["PEAK", "peak"] { XCTAssertNil(files[0].range(of: Data(chunk.utf8)), "has the time of day") }
      #endif
    }
  }

  func testAMissingFileIsAnError() {
    XCTAssertThrowsError(try AVAudioFile(forReading: folder.appending(path: "missing.wav")))
    let file = folder.appending(path: "missing/song.wav")
    XCTAssertThrowsError(try write([[0], [0]], Self.kinds[0].settings, to: file))
  }

  func testWhatIsNoAudioIsAnError() throws {
    for (name, content) in [("text.wav", Data("To be, or not to be\n".utf8)), ("empty.wav", Data())] {
      let file = folder.appending(path: name)
      try content.write(to: file)
      XCTAssertThrowsError(try AVAudioFile(forReading: file), name)
    }
    XCTAssertThrowsError(try AVAudioFile(forReading: folder), "a folder")
  }

  func testAClosedFileIsNeitherReadNorWritten() throws {
    let audio = try AVAudioFile(forReading: ramp(frames: 100))
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: audio.processingFormat, frameCapacity: 100))
    audio.close()
    XCTAssertThrowsError(try audio.read(into: buffer))
    let written = try AVAudioFile(
      forWriting: folder.appending(path: "closed.wav"), settings: Self.kinds[0].settings.complete,
      commonFormat: .pcmFormatFloat32, interleaved: false)
    written.close()
    buffer.frameLength = 1
    XCTAssertThrowsError(try written.write(from: buffer))
  }

  func testSettingsThatNoFileCanHaveAreAnError() {
    let settings = Self.flac.with(AVEncoderBitDepthHintKey, 24).with(AVSampleRateKey, 0.0)
    XCTAssertThrowsError(try write([[0], [0]], settings, to: folder.appending(path: "still.flac")))
    #if os(Linux)
      let float = Self.kinds[0].settings
      let refused: [(String, [String: Any], Int)] = [
        ("rate.wav", float.with(AVSampleRateKey, 44100.5), -50),
        ("nan.wav", float.with(AVSampleRateKey, Double.nan), -50),
        ("none.wav", [:], -50), ("bits.wav", Self.pcm.with(AVLinearPCMBitDepthKey, 12), 1_718_449_215),
        ("order.wav", float.with(AVLinearPCMIsBigEndianKey, true), 1_718_449_215), ("float.flac", float, 1_718_449_215),
        ("song.mp3", float, 1_954_115_647), ("fast.flac", settings.with(AVSampleRateKey, 1e9), 1_718_449_215),
      ]
      for (name, settings, code) in refused {
        XCTAssertThrowsError(try write([[0], [0]], settings, to: folder.appending(path: name)), name) {
          XCTAssertEqual(($0 as NSError).code, code, name)
        }
      }
    #endif
  }

  private static func ramp(_ frames: Range<Int>) -> [[Float]] {
    [frames.map { Float($0) / 32768 }, frames.map { -Float($0) / 32768 }]
  }

  private func ramp(frames: Int, _ suffix: String = "wav") throws -> URL {
    let file = folder.appending(path: "ramp.\(suffix)")
    let kind = Self.kinds.first { $0.suffix == suffix }
    try write(Self.ramp(0..<frames), XCTUnwrap(kind).settings, to: file)
    return file
  }

  private func write(_ samples: [[Float]], _ settings: [String: Any], channels: Int = 2, to file: URL) throws {
    let format = try planarFormat(44100, channels: channels)
    try write(.holding(samples, format), settings.with(AVNumberOfChannelsKey, channels), to: file)
  }

  private func write(_ buffer: AVAudioPCMBuffer, _ settings: [String: Any], to file: URL) throws {
    let audio = try AVAudioFile(
      forWriting: file, settings: settings.complete, commonFormat: .pcmFormatFloat32, interleaved: false)
    try audio.write(from: buffer)
    audio.close()
  }
}

/// All samples from `framePosition` on, a thousand frames at a time.
func readAll(_ audio: AVAudioFile) throws -> [[Float]] {
  let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: audio.processingFormat, frameCapacity: 1000))
  var channels: [[Float]] = []
  while audio.framePosition < audio.length {
    try audio.read(into: buffer)
    channels = channels.followed(by: buffer.channels)
  }
  return channels
}

private func gridded(_ sample: Float, _ step: Float) -> Float { step == 0 ? sample : (sample / step).rounded() * step }

extension [String: Any] {
  fileprivate func with(_ key: String, _ value: Any) -> [String: Any] { merging([key: value]) { $1 } }

  /// With rate and channels, unless they are there.
  fileprivate var complete: [String: Any] {
    merging([AVSampleRateKey: 44100.0, AVNumberOfChannelsKey: 2]) { present, _ in present }
  }
}
