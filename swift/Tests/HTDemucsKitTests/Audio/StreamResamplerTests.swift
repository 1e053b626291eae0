import XCTest

@testable import HTDemucsKit

final class StreamResamplerTests: XCTestCase {
  func testEqualRatesLeaveSamplesAlone() throws {
    let mix = try stereoNoise(1000)
    XCTAssertTrue(try resampled(mix, 44_100, 44_100) == mix)
  }

  func testTheLengthIsExact() throws {
    for (fromHz, toHz) in [(48_000.0, 44_100.0), (44_100, 48_000), (22_050, 44_100), (96_000, 44_100), (8000, 44_100)] {
      for samples in [1, 2, 100, 12_345] {
        let frames = StreamResampler.resampledFrames(samples, fromHz: fromHz, toHz: toHz)
        XCTAssertEqual(frames, Int((Double(samples) * toHz / fromHz).rounded(.up)))
        XCTAssertEqual(try resampled(try stereoNoise(samples), fromHz, toHz).samples, frames)
      }
    }
  }

  func testAToneKeepsItsPhaseThereAndBack() throws {
    let tone = (0..<48_000).map { Float(sin(2 * Double.pi * 1000 * Double($0) / 48_000)) }
    let there = try resampled(try Waveform(tone + tone, signals: 2), 48_000, 44_100)
    let expected = (0..<44_100).map { Float(sin(2 * Double.pi * 1000 * Double($0) / 44_100)) }
    let inner = 4000..<40_000
    XCTAssertGreaterThan(snrDB(there[0][inner], reference: expected[inner]), 100)
    let back = try resampled(there, 44_100, 48_000)
    XCTAssertEqual(back.samples, 48_000)
    XCTAssertGreaterThan(snrDB(back[1][(48_000 + 4000)..<(48_000 + 44_000)], reference: tone[4000..<44_000]), 100)
  }

  func testWhatComesOutDoesNotDependOnTheBlocks() throws {
    let mix = try stereoNoise(30_000)
    let whole = try resampled(mix, 48_000, 44_100)
    for blockFrames in [1000, 4096, 7777] {
      XCTAssertTrue(try resampled(mix, 48_000, 44_100, blockFrames: blockFrames) == whole, "\(blockFrames)")
    }
  }

  func testBlocksThatAreTooShortToGiveAnythingDoNotEndATrack() throws {
    let mix = try stereoNoise(5000)
    let whole = try resampled(mix, 48_000, 44_100)
    let track = TrackAtModelRate(source: SmallBlocks(track: WaveformTrack(waveform: mix)))
    let reader = try track.reader()
    var left: [Float] = []
    while let block = try reader.nextBlock() {
      XCTAssertGreaterThan(block.samples, 0)
      left += block[0]
    }
    XCTAssertEqual(left, Array(whole[0]))
  }

  func testSilenceStaysSilence() throws {
    let silence = try resampled(Waveform(signals: 2, samples: 5000), 48_000, 44_100)
    XCTAssertTrue(silence.values.allSatisfy { $0 == 0 })
  }

  private func resampled(
    _ mix: Waveform, _ fromHz: Double, _ toHz: Double, blockFrames: Int = 65_536
  ) throws -> Waveform {
    let resampler = try StreamResampler(
      fromHz: fromHz, toHz: toHz,
      outputFrames: StreamResampler.resampledFrames(mix.samples, fromHz: fromHz, toHz: toHz))
    var channels: [[Float]] = [[], []]
    func keep(_ block: Waveform) { for channel in 0..<2 { channels[channel] += block[channel] } }
    for start in stride(from: 0, to: mix.samples, by: blockFrames) {
      try resampler.push(mix.samples(start..<min(start + blockFrames, mix.samples)), keep)
    }
    try resampler.finish(keep)
    return try Waveform(channels[0] + channels[1], signals: 2)
  }
}

/// Audio at 48 kHz in blocks of three frames.
private struct SmallBlocks: StereoSource {
  let track: WaveformTrack

  var sampleRateHz: Double { 48_000 }
  var frames: Int { track.samples }

  func stereoReader() throws -> any AudioTrackReader { Reader(track.waveform) }

  private final class Reader: AudioTrackReader {
    private let waveform: Waveform
    private var position = 0

    init(_ waveform: Waveform) { self.waveform = waveform }

    func nextBlock() throws -> Waveform? {
      guard position < waveform.samples else { return nil }
      let stop = min(position + 3, waveform.samples)
      defer { position = stop }
      return waveform.samples(position..<stop)
    }
  }
}
