import XCTest

@testable import HTDemucsKit

final class StereoMixerTests: XCTestCase {
  func testMonoIsDuplicatedAndStereoIsLeftAlone() throws {
    let mono = try StereoMixer(channels: 1, allowsDownmix: false, container: .wav)
    XCTAssertEqual(mono.stereo(try Waveform([1, 2, 3], signals: 1)).values, [1, 2, 3, 1, 2, 3])
    let stereo = try StereoMixer(channels: 2, allowsDownmix: false, container: .other)
    XCTAssertEqual(stereo.stereo(try Waveform([1, 2, 3, 4], signals: 2)).values, [1, 2, 3, 4])
  }

  func testFiveOneIsMixedDownByItsLayout() throws {
    // One channel is 1 at a time: left, right, centre, low frequencies, surround left, surround right.
    let side = Float(0.5.squareRoot() / (1 + 2 * 0.5.squareRoot()))
    let front = Float(1 / (1 + 2 * 0.5.squareRoot()))
    let mixer = try StereoMixer(channels: 6, allowsDownmix: true, container: .flac)
    let mixed = mixer.stereo(try unitChannels(6))
    XCTAssertEqual(Array(mixed[0]), [front, 0, side, 0, side, 0])
    XCTAssertEqual(Array(mixed[1]), [0, front, side, 0, 0, side])
    let ogg = try StereoMixer(channels: 6, allowsDownmix: true, container: .ogg).stereo(try unitChannels(6))
    XCTAssertEqual(Array(ogg[0]), [front, side, 0, side, 0, 0])
    XCTAssertEqual(Array(ogg[1]), [0, side, front, 0, side, 0])
  }

  func testEveryLayoutPutsEachChannelWhereItBelongs() throws {
    // For each channel whether it is heard on the left and on the right.
    let (left, right, both, none) = ([true, false], [false, true], [true, true], [false, false])
    let layouts: [(AudioContainer, [[Bool]])] = [
      (.wav, [left, right, both]), (.wav, [left, right, left, right]), (.wav, [left, right, both, left, right]),
      (.wav, [left, right, both, none, left, right]), (.ogg, [left, both, right]), (.ogg, [left, right, left, right]),
      (.ogg, [left, both, right, left, right]), (.ogg, [left, both, right, left, right, none]),
    ]
    for (container, places) in layouts {
      let mixer = try StereoMixer(channels: places.count, allowsDownmix: true, container: container)
      let mixed = mixer.stereo(try unitChannels(places.count))
      XCTAssertEqual(
        places.indices.map { [mixed[0][$0] > 0, mixed[1][$0 + places.count] > 0] }, places, "\(container)")
    }
  }

  func testFullScaleInEveryChannelStaysFullScale() throws {
    for channels in 3...6 {
      let mixer = try StereoMixer(channels: channels, allowsDownmix: true, container: .wav)
      let mixed = mixer.stereo(try Waveform([Float](repeating: 1, count: channels), signals: channels))
      XCTAssertEqual(mixed.values[0], 1, accuracy: 1e-6)
      XCTAssertEqual(mixed.values[1], 1, accuracy: 1e-6)
    }
  }

  func testMoreChannelsThanCanBeMixedAreRefused() {
    assertThrows(AudioProcessingError.channels(3, reason: .downmixIsOff)) {
      _ = try StereoMixer(channels: 3, allowsDownmix: false, container: .wav)
    }
    assertThrows(AudioProcessingError.channels(7, reason: .unknownLayout)) {
      _ = try StereoMixer(channels: 7, allowsDownmix: true, container: .wav)
    }
    assertThrows(AudioProcessingError.channels(6, reason: .unknownLayout)) {
      _ = try StereoMixer(channels: 6, allowsDownmix: true, container: .other)
    }
    assertThrows(AudioProcessingError.channels(0, reason: .none)) {
      _ = try StereoMixer(channels: 0, allowsDownmix: true, container: .wav)
    }
  }

  private func unitChannels(_ channels: Int) throws -> Waveform {
    try Waveform(
      (0..<channels).flatMap { channel in (0..<channels).map { $0 == channel ? Float(1) : 0 } }, signals: channels)
  }
}
