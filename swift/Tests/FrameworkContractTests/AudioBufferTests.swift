import AVFoundation
import XCTest

/// What Apple documents of `AVAudioFormat` and `AVAudioPCMBuffer`; on Linux it is the stand-ins that have to comply.
///
/// Sources: developer.apple.com/documentation/avfaudio, and the SDK's `AVAudioFormat.h` and `AVAudioBuffer.h`.
final class AudioBufferTests: XCTestCase {
  func testAFormatIsWhatItWasMadeFrom() throws {
    let format = try XCTUnwrap(
      AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: 44100, channels: 2, interleaved: false))
    XCTAssertEqual(format.commonFormat, .pcmFormatFloat32)
    XCTAssertEqual(format.sampleRate, 44100)
    XCTAssertEqual(format.channelCount, 2)
    XCTAssertFalse(format.isInterleaved)
  }

  func testMoreThanTwoChannelsNeedALayout() throws {
    XCTAssertNil(AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: 44100, channels: 3, interleaved: false))
    let format = try planarFormat(44100, channels: 6)
    XCTAssertEqual(format.channelCount, 6)
    XCTAssertEqual(format.sampleRate, 44100)
    XCTAssertFalse(format.isInterleaved)
  }

  func testALayoutThatIsDescribedElsewhereIsNone() {
    XCTAssertNil(AVAudioChannelLayout(layoutTag: 0))
    XCTAssertNil(AVAudioChannelLayout(layoutTag: 1 << 16))
    XCTAssertEqual(AVAudioChannelLayout(layoutTag: kAudioChannelLayoutTag_DiscreteInOrder | 5)?.channelCount, 5)
  }

  func testFormatsAreEqualIfTheyAreEquivalent() throws {
    func format(_ rate: Double, _ channels: AVAudioChannelCount, _ interleaved: Bool) -> AVAudioFormat? {
      AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: rate, channels: channels, interleaved: interleaved)
    }
    XCTAssertEqual(format(44100, 2, false), format(44100, 2, false))
    XCTAssertNotEqual(format(44100, 2, false), format(48000, 2, false))
    XCTAssertNotEqual(format(44100, 2, false), format(44100, 1, false))
    XCTAssertNotEqual(format(44100, 2, false), format(44100, 2, true))
    XCTAssertEqual(format(44100, 1, false), format(44100, 1, true), "order makes no difference for one channel")
  }

  func testABufferHasRoomAndAtFirstNoFrames() throws {
    let format = try planarFormat(44100, channels: 2)
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: format, frameCapacity: 100))
    XCTAssertEqual(buffer.frameCapacity, 100)
    XCTAssertEqual(buffer.frameLength, 0)
    XCTAssertEqual(buffer.format, format)
    buffer.frameLength = 100
    XCTAssertEqual(buffer.frameLength, 100)
  }

  func testChannelsThatAreNotInterleavedLieApart() throws {
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: planarFormat(44100, channels: 6), frameCapacity: 100))
    buffer.frameLength = 100
    XCTAssertEqual(buffer.stride, 1)
    let channels = (0..<6).map { channel in (0..<100).map { Float(channel) + Float($0) / 100 } }
    buffer.fill(channels)
    XCTAssertEqual(buffer.channels, channels)
  }

  func testInterleavedChannelsAreNeighbours() throws {
    let format = try XCTUnwrap(
      AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: 44100, channels: 2, interleaved: true))
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: format, frameCapacity: 10))
    let data = try XCTUnwrap(buffer.floatChannelData)
    XCTAssertEqual(buffer.stride, 2)
    XCTAssertEqual(data[0] + 1, data[1])
  }

  func testABufferOfMoreBytesThan32BitsCanCountIsNil() throws {
    let format = try XCTUnwrap(
      AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: 44100, channels: 2, interleaved: true))
    XCTAssertNil(AVAudioPCMBuffer(pcmFormat: format, frameCapacity: .max))
  }

  #if os(Linux)
    func testWhatNoAudioCanBeIsNoFormat() {
      func format(_ type: AVAudioCommonFormat, _ rate: Double, _ channels: AVAudioChannelCount) -> AVAudioFormat? {
        AVAudioFormat(commonFormat: type, sampleRate: rate, channels: channels, interleaved: false)
      }
      XCTAssertNil(format(.pcmFormatFloat32, 44100, 0))
      XCTAssertNil(format(.pcmFormatFloat32, 0, 2))
      XCTAssertNil(format(.pcmFormatFloat32, .nan, 2))
      XCTAssertNil(format(.otherFormat, 44100, 2))
    }

    func testNoOneCanRelyOnWhatANewBufferHolds() throws {
      let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: planarFormat(44100, channels: 2), frameCapacity: 3))
      buffer.frameLength = 3
      XCTAssertTrue(buffer.channels.joined().allSatisfy(\.isNaN))
    }
  #endif
}
