import AVFoundation
import Foundation

/// Resamples blocks of a stream to an exact number of frames; where both rates are equal, blocks pass unchanged.
///
/// The filter's delay is compensated, and the stream ends as if silence followed. What comes out does not depend on how
/// the stream is cut into blocks.
final class StreamResampler {
  private let converter: AVAudioConverter?
  private let inputFormat: AVAudioFormat
  private let output: AVAudioPCMBuffer
  private let rates: (fromHz: Double, toHz: Double)
  private var remainingFrames: Int

  /// Rates that audio may have, in hertz: from below any recording's to twice the highest in use.
  ///
  /// A file may state any; one of 1 Hz would grow by a factor of 44,100 with every block.
  static let supportedRatesHz = 1000.0...768_000.0

  /// Checks that audio of a rate can be brought to the network's.
  ///
  /// - Throws: `AudioProcessingError.resampling` for others than `supportedRatesHz`, and NaN.
  static func requireSupported(rateHz: Double) throws {
    guard supportedRatesHz.contains(rateHz) else {
      let (lowest, highest) = (Int(supportedRatesHz.lowerBound), Int(supportedRatesHz.upperBound))
      throw AudioProcessingError.resampling(
        fromHz: rateHz, toHz: ChunkPlan.sampleRateHz, reason: "rates from \(lowest) to \(highest) Hz are supported")
    }
  }

  /// Number of frames at another rate, `ceil(frames * toHz / fromHz)`.
  static func resampledFrames(_ frames: Int, fromHz: Double, toHz: Double) -> Int {
    Int((Double(frames) * toHz / fromHz).rounded(.up))
  }

  /// - Parameters:
  ///   - fromHz: Rate of what goes in.
  ///   - toHz: Rate of what comes out.
  ///   - outputFrames: Frames that come out in all.
  /// - Throws: `AudioProcessingError.resampling` if the rates are not supported.
  init(fromHz: Double, toHz: Double, outputFrames: Int) throws {
    rates = (fromHz, toHz)
    remainingFrames = outputFrames
    guard
      let inputFormat = AVAudioFormat(
        commonFormat: .pcmFormatFloat32, sampleRate: fromHz, channels: 2, interleaved: false),
      let outputFormat = AVAudioFormat(
        commonFormat: .pcmFormatFloat32, sampleRate: toHz, channels: 2, interleaved: false),
      let output = AVAudioPCMBuffer(pcmFormat: outputFormat, frameCapacity: AVAudioFrameCount(trackBlockSamples))
    else { throw AudioProcessingError.resampling(fromHz: fromHz, toHz: toHz, reason: "a rate is not supported") }
    self.inputFormat = inputFormat
    self.output = output
    if fromHz == toHz {
      converter = nil
      return
    }
    guard let converter = AVAudioConverter(from: inputFormat, to: outputFormat) else {
      throw AudioProcessingError.resampling(fromHz: fromHz, toHz: toHz, reason: "the rates are too far apart")
    }
    converter.sampleRateConverterAlgorithm = AVSampleRateConverterAlgorithm_Mastering
    converter.sampleRateConverterQuality = AVAudioQuality.max.rawValue
    converter.primeMethod = .normal
    self.converter = converter
  }

  /// Takes `[2, n]` and hands over what is ready, in blocks `[2, m]`.
  func push(_ block: Waveform, _ deliver: (Waveform) throws -> Void) throws {
    guard let converter else { return try deliver(taken(block)) }
    guard let buffer = AVAudioPCMBuffer(pcmFormat: inputFormat, frameCapacity: AVAudioFrameCount(block.samples)),
      let channels = buffer.floatChannelData
    else { throw failure("no memory for a block") }
    buffer.frameLength = AVAudioFrameCount(block.samples)
    for channel in 0..<2 {
      block[channel].withUnsafeBufferPointer {
        guard let start = $0.baseAddress else { return }
        channels[channel].update(from: start, count: block.samples)
      }
    }
    try drain(converter, Feed(buffer, atEnd: .noDataNow), deliver)
  }

  /// Hands over the rest; after this all frames have come out.
  func finish(_ deliver: (Waveform) throws -> Void) throws {
    if let converter { try drain(converter, Feed(nil, atEnd: .endOfStream), deliver) }
    while remainingFrames > 0 {
      try deliver(taken(Waveform(signals: 2, samples: min(remainingFrames, trackBlockSamples))))
    }
  }

  private func drain(_ converter: AVAudioConverter, _ feed: Feed, _ deliver: (Waveform) throws -> Void) throws {
    while true {
      var error: NSError?
      let status = releasingObjects {
        converter.convert(to: output, error: &error) { _, status in feed.next(status) }
      }
      if status == .error { throw failure(error?.localizedDescription ?? "the converter failed") }
      let count = Int(output.frameLength)
      if count > 0, let channels = output.floatChannelData {
        let values = (0..<2).flatMap { UnsafeBufferPointer(start: channels[$0], count: count) }
        try deliver(taken(try Waveform(values, signals: 2)))
      }
      // Without the second condition, a converter that gives nothing would be asked forever.
      if status != .haveData || count == 0 { return }
    }
  }

  private func taken(_ block: Waveform) -> Waveform {
    let count = min(block.samples, remainingFrames)
    remainingFrames -= count
    return count == block.samples ? block : block.samples(0..<count)
  }

  private func failure(_ reason: String) -> AudioProcessingError {
    .resampling(fromHz: rates.fromHz, toHz: rates.toHz, reason: reason)
  }
}

/// Gives a converter one buffer, then says what follows it.
///
/// `@unchecked`: a converter calls its input block before it returns.
private final class Feed: @unchecked Sendable {
  private var buffer: AVAudioPCMBuffer?
  private let statusAtEnd: AVAudioConverterInputStatus

  init(_ buffer: AVAudioPCMBuffer?, atEnd status: AVAudioConverterInputStatus) {
    self.buffer = buffer
    statusAtEnd = status
  }

  func next(_ status: UnsafeMutablePointer<AVAudioConverterInputStatus>) -> AVAudioBuffer? {
    let given = buffer
    buffer = nil
    status.pointee = given == nil ? statusAtEnd : .haveData
    return given
  }
}
