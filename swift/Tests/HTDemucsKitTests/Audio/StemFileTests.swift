import Foundation
import XCTest

@testable import HTDemucsKit

final class StemFileTests: XCTestCase {
  private var workspace: Workspace!

  override func setUpWithError() throws { workspace = try Workspace() }
  override func tearDown() { workspace = nil }

  func testFloat32KeepsEverySample() throws {
    let stem = try Waveform(noise(100_001).map { 5 * $0 } + noise(100_001, seed: 1), signals: 2)
    let (url, losses) = try written(stem, .float32WAV, .none)
    XCTAssertTrue(try samples(of: url) == stem)
    XCTAssertEqual(losses, StemFile.Losses())
  }

  func testIntegersAreRoundedToNearestOnTheScaleOfReaders() throws {
    let formats: [(AudioFileFormat, Float)] = [
      (try AudioFileFormat(.wav, .int16), 32_768), (try AudioFileFormat(.wav, .int24), 8_388_608),
      (try AudioFileFormat(.flac, .int16), 32_768), (try AudioFileFormat(.flac, .int24), 8_388_608),
    ]
    for (format, scale) in formats {
      let stem = try stereoNoise(70_000)
      let (url, _) = try written(stem, format, .none)
      let read = try samples(of: url)
      let expected = stem.values.map { min(($0 * scale).rounded(.toNearestOrEven), scale - 1) / scale }
      XCTAssertEqual(largestDifference(read.values, expected), 0, "\(format)")
      // What was read from integers is written as the same integers.
      let (again, losses) = try written(read, format, .none)
      XCTAssertTrue(try samples(of: again) == read, "\(format)")
      XCTAssertEqual(losses, StemFile.Losses())
    }
  }

  func testTheSameSamplesGiveTheSameBytes() throws {
    for format in [AudioFileFormat.float32WAV, try AudioFileFormat(.flac, .int24)] {
      let stem = try stereoNoise(10_000)
      let first = try Data(contentsOf: written(stem, format, .none).url)
      let second = try Data(contentsOf: written(stem, format, .none, blockFrames: 777).url)
      XCTAssertTrue(first == second, "\(format)")
    }
  }

  func testWhatIntegersCannotHoldIsCutAndCounted() throws {
    let stem = try Waveform([0.5, 1.5, -1.5, 1, 0.25, -1], signals: 2)
    let (url, losses) = try written(stem, try AudioFileFormat(.wav, .int16), .none)
    let most = Float(32_767) / 32_768
    XCTAssertEqual(try samples(of: url).values, [0.5, most, -1, most, 0.25, -1])
    XCTAssertEqual(losses, StemFile.Losses(cutSamples: 3))
  }

  func testRescaleMakesTheWholeStemQuieterAndClampCutsIt() throws {
    let stem = try Waveform([0.5, 2, -1, 1, 0.25, -1], signals: 2)
    let (rescaled, losses) = try written(stem, .float32WAV, .rescale)
    let gain = 1 / (Float(1.01) * 2)
    XCTAssertLessThan(
      largestDifference(try samples(of: rescaled).values, stem.values.map { gain * $0 }), 1e-7)
    XCTAssertEqual(losses.attenuationDB, 20 * log10(2.02), accuracy: 1e-5)
    let (clamped, _) = try written(stem, .float32WAV, .clamp)
    XCTAssertEqual(try samples(of: clamped).values, [0.5, 0.99, -0.99, 0.99, 0.25, -0.99])
  }

  func testRescaleLeavesWhatFitsAloneAndNoOtherFileBehind() throws {
    let stem = try Waveform(stereoNoise(100_000).values.map { 0.9 * $0 }, signals: 2)
    let (url, losses) = try written(stem, .float32WAV, .rescale)
    XCTAssertTrue(try samples(of: url) == stem)
    XCTAssertEqual(losses, StemFile.Losses())
    XCTAssertEqual(try workspace.contents(), [url.lastPathComponent])
  }

  func testRescalingALongFileCanBeCancelled() async throws {
    let url = workspace.url("stem.wav")
    await assertIsCancelled {
      let file = try StemFile(
        creating: url, format: .float32WAV, clipMode: .rescale, sampleRateHz: 44_100, frames: 100)
      try file.write(stereoNoise(100))
      _ = try file.finish()
    }
  }

  func testAFileThatIsGivenUpIsClosed() throws {
    /// The smallest descriptor that is free.
    func free() -> Int32 {
      let descriptor = open("/dev/null", O_RDONLY)
      close(descriptor)
      return descriptor
    }
    let before = free()
    for number in 0..<10 { try OutputFile(creating: workspace.url("\(number)")).write([1]) }
    XCTAssertEqual(free(), before)
  }

  func testAFLACFileThatIsNotWholeOnTheDiskIsAnError() throws {
    let format = try AudioFileFormat(.flac, .int16)
    let (shorter, _) = try written(stereoNoise(100), format, .none)
    let url = workspace.url("stem.flac")
    let file = try StemFile(creating: url, format: format, clipMode: .none, sampleRateHz: 44_100, frames: 1000)
    try file.write(stereoNoise(1000))
    XCTAssertEqual(rename(shorter.path, url.path), 0)
    assertThrows(AudioProcessingError.unwritable(path: url.path, reason: "not all of it reached the disk")) {
      _ = try file.finish()
    }
  }

  func testHeadersHaveEveryFieldOfTheirSpecification() {
    func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }
    func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
    let integers = wavHeader(.int24, sampleRateHz: 48_000, frames: 10)
    XCTAssertEqual(integers.count, 44)
    XCTAssertEqual([number(integers[4..<8]), number(integers[40..<44])], [36 + 60, 60])
    XCTAssertEqual(
      [text(integers[8..<12]), text(integers[12..<16]), text(integers[36..<40])], ["WAVE", "fmt ", "data"])
    let fields = [16..<20, 20..<22, 22..<24, 24..<28, 28..<32, 32..<34, 34..<36]
    XCTAssertEqual(fields.map { number(integers[$0]) }, [16, 1, 2, 48_000, 288_000, 6, 24])

    let floats = wavHeader(.float32, sampleRateHz: 44_100, frames: 10)
    XCTAssertEqual(floats.count, 58)
    XCTAssertEqual(number(floats[4..<8]), 50 + 80)
    XCTAssertEqual(fields.map { number(floats[$0]) }, [18, 3, 2, 44_100, 352_800, 8, 32])
    XCTAssertEqual(text(floats[38..<42]), "fact")
    XCTAssertEqual([number(floats[42..<46]), number(floats[46..<50])], [4, 10])

    let frames = 1 << 30
    let long = wavHeader(.float32, sampleRateHz: 44_100, frames: frames)
    XCTAssertEqual(number(long[4..<8]), 0xFFFF_FFFF)
    XCTAssertEqual(number(long[16..<20]), 28)
    XCTAssertEqual(
      [number(long[20..<28]), number(long[28..<36]), number(long[36..<44]), number(long[44..<48])],
      [long.count - 8 + 8 * frames, 8 * frames, frames, 0])
    XCTAssertEqual(number(long[(long.count - 4)...]), 0xFFFF_FFFF)
  }

  func testAFileLongerThanFourGigabytesIsRF64() {
    let short = wavHeader(.float32, sampleRateHz: 44_100, frames: (1 << 29) - 8)
    let long = wavHeader(.float32, sampleRateHz: 44_100, frames: 1 << 29)
    XCTAssertEqual(String(decoding: short.prefix(4), as: UTF8.self), "RIFF")
    XCTAssertEqual(String(decoding: long.prefix(4), as: UTF8.self), "RF64")
    XCTAssertEqual(String(decoding: long[12..<16], as: UTF8.self), "ds64")
  }

  func testFLACCannotHoldFloatingPoint() {
    assertThrows(AudioProcessingError.floatingPointFLAC) { _ = try AudioFileFormat(.flac, .float32) }
  }

  func testWhatIsThereIsNotOverwritten() throws {
    try Data("mine".utf8).write(to: workspace.url("taken.wav"))
    XCTAssertThrowsError(try OutputFile(creating: workspace.url("taken.wav"))) { error in
      XCTAssertEqual(
        error as? AudioProcessingError,
        .unwritable(path: workspace.url("taken.wav").path, reason: "File exists"))
    }
  }

  #if os(Linux)
    func testAFolderWhoseFileSystemCannotSynchroniseIsGoodEnough() throws {
      // Neither can this one.
      XCTAssertThrowsError(try synchronise(URL(filePath: "/proc/self")))
      XCTAssertNoThrow(try synchronise(folder: URL(filePath: "/proc/self")))
      XCTAssertThrowsError(try synchronise(folder: workspace.url("missing")))
    }

    func testAFullDiskIsAnErrorThatSaysSo() throws {
      // Every write to this device fails as on a full disk.
      let file = OutputFile(writingTo: open("/dev/full", O_WRONLY), url: workspace.url("full"))
      XCTAssertThrowsError(try file.write([UInt8](repeating: 0, count: 1 << 20))) { error in
        XCTAssertEqual(
          error as? AudioProcessingError,
          .unwritable(path: workspace.url("full").path, reason: "No space left on device"))
      }
    }
  #endif

  private func written(
    _ stem: Waveform, _ format: AudioFileFormat, _ clipMode: ClipMode, blockFrames: Int = 65_536
  ) throws -> (url: URL, losses: StemFile.Losses) {
    let url = workspace.url("\(UUID().uuidString).\(format.container.rawValue)")
    let file = try StemFile(
      creating: url, format: format, clipMode: clipMode, sampleRateHz: 44_100, frames: stem.samples)
    for start in stride(from: 0, to: stem.samples, by: blockFrames) {
      try file.write(stem.samples(start..<min(start + blockFrames, stem.samples)))
    }
    return (url, try file.finish())
  }
}
