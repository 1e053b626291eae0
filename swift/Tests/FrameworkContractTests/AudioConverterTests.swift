import AVFoundation
import XCTest

/// What Apple documents of `AVAudioConverter`; on Linux it is the stand-in that has to comply.
///
/// Sources: developer.apple.com/documentation/avfaudio/avaudioconverter, and the SDK's `AVAudioConverter.h`.
final class AudioConverterTests: XCTestCase {
  func testASineKeepsItsPhase() throws {
    for (from, to) in [
      (44100.0, 48000.0), (48000, 44100), (44100, 96000), (96000, 44100), (22050, 44100), (44100, 22050),
    ] {
      let output = try converted([sine(997, from, 30_000)], from, to)[0]
      let expected = sine(997, to, output.count)
      XCTAssertGreaterThanOrEqual(snrDB(output, expected, margin: 3000), 100, "\(from) Hz to \(to) Hz")
    }
  }

  func testAllOfTheSignalComesOut() throws {
    for (from, to) in [(44100.0, 48000.0), (48000, 44100), (44100, 22050), (96000, 44100)] {
      for frames in [1, 1000, 44_100] {
        let count = try converted([noise(frames)], from, to)[0].count
        let exact = Double(frames) * to / from
        XCTAssertGreaterThanOrEqual(count, Int(exact), "\(frames) frames, \(from) Hz to \(to) Hz")
        XCTAssertLessThanOrEqual(count, Int(exact.rounded(.up)) + 1, "\(frames) frames, \(from) Hz to \(to) Hz")
      }
    }
  }

  func testTheSizeOfBlocksMakesNoDifference() throws {
    let signal = [noise(20_000), Array(noise(20_000).reversed())]
    let whole = try converted(signal, 44100, 48000)
    for (inputFrames, outputFrames) in [(1000, 1000), (1, 8192), (20_000, 1), (777, 333)] {
      let parts = try converted(signal, 44100, 48000, inputFrames: inputFrames, outputFrames: outputFrames)
      for (actual, expected) in zip(parts, whole) { assertEqual(actual, expected, accuracy: 1e-6) }
    }
  }

  func testChannelsAreConvertedApart() throws {
    for channels in 1...8 {
      let signal = (1...channels).map { sine(100 * Double($0), 44100, 5000) }
      let output = try converted(signal, 44100, 48000)
      XCTAssertEqual(output.count, channels)
      for (channel, samples) in output.enumerated() {
        assertEqual(samples, try converted([signal[channel]], 44100, 48000)[0], accuracy: 1e-6)
      }
    }
  }

  func testSilenceStaysSilence() throws {
    let output = try converted([[Float](repeating: 0, count: 10_000)], 44100, 48000)[0]
    XCTAssertEqual(output, [Float](repeating: 0, count: output.count))
  }

  func testEqualRatesLeaveSamplesAsTheyAre() throws {
    let signal = [noise(5000), Array(noise(5000).reversed())]
    XCTAssertEqual(try converted(signal, 44100, 44100, inputFrames: 999, outputFrames: 700), signal)
  }

  func testWithoutInputOutputRunsDryAndGoesOnLater() throws {
    let (converter, output) = try made(44100, 48000, outputFrames: 4096)
    let signal = sine(440, 44100, 2000)
    let feed = Feed([.noDataNow, .data(try buffer([signal])), .noDataNow, .endOfStream])
    XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .inputRanDry)
    XCTAssertEqual(output.frameLength, 0)
    XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .inputRanDry)
    var samples = output.channels[0]
    samples += try drained(converter, output, feed)[0]
    assertEqual(samples, try converted([signal], 44100, 48000)[0], accuracy: 1e-6)
  }

  func testAFullBufferIsHaveDataAndNothingMoreIsEndOfStream() throws {
    let (converter, output) = try made(44100, 44100, outputFrames: 1000)
    let feed = Feed([.data(try buffer([noise(2000)])), .endOfStream, .endOfStream])
    for _ in 0..<2 {
      XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .haveData)
      XCTAssertEqual(output.frameLength, 1000)
    }
    XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .endOfStream)
    XCTAssertEqual(output.frameLength, 0)
  }

  func testInputMayBeRefilledOnceTheConversionHasReturned() throws {
    let (converter, output) = try made(44100, 48000, outputFrames: 100)
    let signal = sine(440, 44100, 3000)
    let input = try buffer([signal])
    let feed = Feed([.data(input), .endOfStream])
    XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .haveData)
    var samples = output.channels[0]
    input.fill([[Float](repeating: 9, count: 3000)])
    samples += try drained(converter, output, feed)[0]
    assertEqual(samples, try converted([signal], 44100, 48000)[0], accuracy: 1e-6)
  }

  func testTheBlockIsAskedForAsMuchAsIsNeeded() throws {
    let (converter, output) = try made(44100, 22050, outputFrames: 1000)
    let feed = Feed([.data(try buffer([noise(100_000)]))])
    XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .haveData)
    XCTAssertGreaterThanOrEqual(feed.asked.first ?? 0, 1)
  }

  func testAfterAResetAnotherStreamIsConvertedAsTheFirst() throws {
    let (converter, output) = try made(44100, 48000, outputFrames: 1000)
    let signal = noise(3000)
    let first = try drained(converter, output, Feed([.data(buffer([signal])), .endOfStream]))
    converter.reset()
    XCTAssertEqual(try drained(converter, output, Feed([.data(buffer([signal])), .endOfStream])), first)
    converter.reset()
    let feed = Feed([.data(try buffer([noise(1000)])), .noDataNow])
    XCTAssertEqual(converter.convert(to: output, error: nil, withInputFrom: feed.next), .inputRanDry)
    converter.reset()
    XCTAssertEqual(try drained(converter, output, Feed([.data(buffer([signal])), .endOfStream])), first)
  }

  func testAlignmentWithTheInputIsTheDefault() throws {
    let format = try planarFormat(44100, channels: 1)
    XCTAssertEqual(try XCTUnwrap(AVAudioConverter(from: format, to: format)).primeMethod, .normal)
  }

  #if os(Linux)
    func testAnImpossibleConversionIsNil() throws {
      let stereo = try planarFormat(44100, channels: 2)
      XCTAssertNil(AVAudioConverter(from: stereo, to: try planarFormat(44100, channels: 1)))
      let interleaved = try XCTUnwrap(
        AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: 44100, channels: 2, interleaved: true))
      XCTAssertNil(AVAudioConverter(from: stereo, to: interleaved))
    }

    func testABufferOfAnotherFormatIsAnError() throws {
      let (converter, output) = try made(44100, 48000, outputFrames: 100)
      let other = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: planarFormat(44100, channels: 1), frameCapacity: 1))
      var error: NSError?
      XCTAssertEqual(converter.convert(to: other, error: &error, withInputFrom: Feed([]).next), .error)
      XCTAssertEqual(error?.code, -50)
      let stereo = try AVAudioPCMBuffer.holding([[1], [1]], planarFormat(44100, channels: 2))
      XCTAssertEqual(converter.convert(to: output, error: &error, withInputFrom: Feed([.data(stereo)]).next), .error)
    }

    func testOutputIsExactlyThatOfOneBlock() throws {
      let signal = [noise(20_000)]
      let whole = try converted(signal, 44100, 48000)
      XCTAssertEqual(try converted(signal, 44100, 48000, inputFrames: 777, outputFrames: 333), whole)
    }
  #endif
}

/// What an input block answers, one after another; the end of the stream when there is no more.
///
/// `@unchecked`: a converter calls its input block before it returns.
private final class Feed: @unchecked Sendable {
  enum Answer {
    case data(AVAudioPCMBuffer)
    case noDataNow
    case endOfStream
  }

  private var answers: [Answer]
  private(set) var asked: [AVAudioPacketCount] = []

  init(_ answers: [Answer]) { self.answers = answers.reversed() }

  var next: AVAudioConverterInputBlock {
    { packets, status in
      self.asked.append(packets)
      switch self.answers.popLast() {
      case .data(let buffer):
        status.pointee = .haveData
        return buffer
      case .noDataNow: status.pointee = .noDataNow
      case .endOfStream, nil: status.pointee = .endOfStream
      }
      return nil
    }
  }
}

private func made(
  _ from: Double, _ to: Double, channels: Int = 1, outputFrames: Int
) throws -> (AVAudioConverter, AVAudioPCMBuffer) {
  let (input, output) = try (planarFormat(from, channels: channels), planarFormat(to, channels: channels))
  let converter = try XCTUnwrap(AVAudioConverter(from: input, to: output))
  converter.sampleRateConverterAlgorithm = AVSampleRateConverterAlgorithm_Mastering
  converter.sampleRateConverterQuality = AVAudioQuality.max.rawValue
  converter.primeMethod = .normal
  let buffer = AVAudioPCMBuffer(pcmFormat: output, frameCapacity: AVAudioFrameCount(outputFrames))
  return (converter, try XCTUnwrap(buffer))
}

private func buffer(_ channels: [[Float]], _ rate: Double = 44100) throws -> AVAudioPCMBuffer {
  try .holding(channels, planarFormat(rate, channels: channels.count))
}

/// All that comes out until the end of the stream.
private func drained(_ converter: AVAudioConverter, _ output: AVAudioPCMBuffer, _ feed: Feed) throws -> [[Float]] {
  var channels = [[Float]](repeating: [], count: Int(output.format.channelCount))
  while true {
    var error: NSError?
    switch converter.convert(to: output, error: &error, withInputFrom: feed.next) {
    case .haveData, .inputRanDry: channels = channels.followed(by: output.channels)
    case .endOfStream:
      XCTAssertEqual(output.frameLength, 0, "at the end of the stream no data is returned")
      return channels
    default:
      XCTFail("\(String(describing: error))")
      return channels
    }
  }
}

private func converted(
  _ signal: [[Float]], _ from: Double, _ to: Double, inputFrames: Int = 4096, outputFrames: Int = 4096
) throws -> [[Float]] {
  let (converter, output) = try made(from, to, channels: signal.count, outputFrames: outputFrames)
  let frames = signal.first?.count ?? 0
  let blocks = try stride(from: 0, to: frames, by: inputFrames).map { start in
    Feed.Answer.data(try buffer(signal.map { Array($0[start..<min(start + inputFrames, frames)]) }, from))
  }
  return try drained(converter, output, Feed(blocks + [.endOfStream]))
}

private func sine(_ hertz: Double, _ rate: Double, _ frames: Int) -> [Float] {
  (0..<frames).map { Float(0.5 * sin(2 * Double.pi * hertz * Double($0) / rate)) }
}

/// Signal to noise, away from both ends.
private func snrDB(_ actual: [Float], _ expected: [Float], margin: Int) -> Double {
  let pairs = zip(actual, expected).dropFirst(margin).dropLast(margin).map { (Double($0), Double($1)) }
  let noise = pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  return 10 * log10(pairs.reduce(0) { $0 + $1.1 * $1.1 } / noise)
}
