import Foundation
import XCTest

@testable import HTDemucsKit

final class AudioContainerTests: XCTestCase {
  private var workspace: Workspace!

  override func setUpWithError() throws { workspace = try Workspace() }
  override func tearDown() { workspace = nil }

  func testContainersAreToldByTheirFirstBytes() {
    let headers: [(String, AudioContainer)] = [
      ("RIFF....WAVE", .wav), ("RF64....WAVE", .wav), ("FORM....AIFF", .aiff), ("FORM....AIFC", .aiff),
      ("caff", .caf), ("fLaC", .flac), ("OggS", .ogg), ("RIFF....AVI ", .other), ("ID3", .other), ("", .other),
    ]
    for (header, container) in headers {
      XCTAssertEqual(AudioContainer(header: Array(header.utf8)), container, header)
    }
  }

  func testAWholeFileMissesNothingAndACutOneWhatWasCut() throws {
    for encoding in AudioFileFormat.Encoding.allCases {
      let header = wavHeader(encoding, sampleRateHz: 44_100, frames: 100)
      let bytes = 2 * 100 * (encoding.integerBits ?? 32) / 8
      XCTAssertEqual(try missing(header + [UInt8](repeating: 0, count: bytes)), 0)
      XCTAssertEqual(try missing(header + [UInt8](repeating: 0, count: bytes - 7)), 7)
      XCTAssertEqual(try missing(header), bytes)
    }
  }

  func testTheSizeOfALongFileStandsInAChunkOfItsOwn() throws {
    let frames = 1 << 30
    let header = wavHeader(.float32, sampleRateHz: 44_100, frames: frames)
    XCTAssertEqual(String(decoding: header.prefix(4), as: UTF8.self), "RF64")
    XCTAssertEqual(try missing(header + [1, 2, 3, 4]), 8 * frames - 4)
  }

  func testALengthThatItsWriterDidNotKnowIsNotMissed() throws {
    for size: UInt32 in [0xFFFF_FFFF, 0x7FFF_FFFF, 0xFFFF_F000] {
      var header = wavHeader(.int16, sampleRateHz: 44_100, frames: 10)
      header.replaceSubrange(header.count - 4..<header.count, with: withUnsafeBytes(of: size.littleEndian, Array.init))
      XCTAssertEqual(try missing(header + [0, 0]), 0)
    }
  }

  func testAIFFStatesItsSizesTheOtherWayRound() throws {
    let samples = Array("SSND".utf8) + [0, 0, 0, 20] + [UInt8](repeating: 0, count: 20)
    let file = Array("FORM".utf8) + [0, 0, 0, 50] + Array("AIFFCOMM".utf8) + [0, 0, 0, 1, 9, 0] + samples
    XCTAssertEqual(try missing(file, .aiff), 0)
    XCTAssertEqual(try missing(Array(file.dropLast(3)), .aiff), 3)
  }

  func testAFileOfEmptyChunksIsNotSearchedForever() throws {
    func file(emptyChunks: Int) -> [UInt8] {
      Array("RIFF....WAVE".utf8) + [UInt8](repeating: 0, count: 8 * emptyChunks) + Array("data".utf8) + [9, 0, 0, 0]
    }
    XCTAssertEqual(try missing(file(emptyChunks: 9999)), 9)
    XCTAssertEqual(try missing(file(emptyChunks: 10_000)), 0)
  }

  func testNoBytesWhateverMakeTheCheckFail() throws {
    var random = SystemRandomNumberGenerator()
    let whole = wavHeader(.float32, sampleRateHz: 44_100, frames: 4) + [UInt8](repeating: 0, count: 32)
    for _ in 0..<500 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
      XCTAssertGreaterThanOrEqual(try missing(bytes), 0)
      XCTAssertGreaterThanOrEqual(try missing(bytes, .aiff), 0)
    }
  }

  private func missing(_ bytes: [UInt8], _ container: AudioContainer = .wav) throws -> Int {
    try Data(bytes).write(to: workspace.url("file"))
    let handle = try FileHandle(forReadingFrom: workspace.url("file"))
    defer { try? handle.close() }
    return try statedBytesMissing(handle, container: container)
  }
}
