import CSoxr
import Foundation

/// What an input block says of the buffer that it returns.
public enum AVAudioConverterInputStatus: Int, Sendable {
  /// It holds audio.
  case haveData = 0
  /// There is none, for there is nothing to convert at the moment.
  case noDataNow = 1
  /// There is none, for the stream has ended.
  case endOfStream = 2
}

/// What a call of a converter came to.
public enum AVAudioConverterOutputStatus: Int, Sendable {
  /// All that was asked for was given out, or what remained at the end of the stream.
  case haveData = 0
  /// There was not enough input; what could be converted was given out.
  case inputRanDry = 1
  /// The stream has ended; nothing was given out.
  case endOfStream = 2
  /// The conversion failed.
  case error = 3
}

/// What is assumed of the frames before the first and after the last.
public enum AVAudioConverterPrimeMethod: Int, Sendable {
  /// Both are given as input.
  case pre = 0
  /// Those after the last are read ahead, those before the first are silent: output has no latency.
  case normal = 1
  /// Both are silent: output is late.
  case none = 2
}

/// Where an error is put; nil for one who does not want to know. (Foundation has this name on Apple's systems.)
public typealias NSErrorPointer = UnsafeMutablePointer<NSError?>?

/// Gives a converter its input, here sample frames: about as many as asked for, in a buffer whose content stays as it is
/// until the next call or the end of the conversion; or nil, with a status that says why.
public typealias AVAudioConverterInputBlock =
  @Sendable (AVAudioPacketCount, UnsafeMutablePointer<AVAudioConverterInputStatus>) -> AVAudioBuffer?

/// Converts streams of audio from one sample rate to another.
public class AVAudioConverter: NSObject {
  /// An `AVAudioQuality`; this stand-in looks at it when a stream begins.
  public var sampleRateConverterQuality = AVAudioQuality.medium.rawValue
  /// An algorithm of sample rate conversion; this stand-in looks at it when a stream begins.
  public var sampleRateConverterAlgorithm: String?
  /// Only `normal` in this stand-in: output is aligned with input.
  public var primeMethod = AVAudioConverterPrimeMethod.normal {
    didSet { precondition(primeMethod == .normal, "this stand-in has prime method normal only") }
  }

  private let inputFormat: AVAudioFormat
  private let outputFormat: AVAudioFormat
  private var resampler: Resampler?
  /// Input that did not fit into the output so far.
  private var pending: AVAudioPCMBuffer?
  private var pendingStart = 0
  private var inputHasEnded = false

  /// nil if the conversion is not possible: here it is between float32 of as many channels, not interleaved.
  public init?(from fromFormat: AVAudioFormat, to toFormat: AVAudioFormat) {
    let formats = [fromFormat, toFormat]
    guard formats.allSatisfy({ $0.commonFormat == .pcmFormatFloat32 && (!$0.isInterleaved || $0.channelCount == 1) }),
      fromFormat.channelCount == toFormat.channelCount
    else { return nil }
    inputFormat = fromFormat
    outputFormat = toFormat
  }

  /// Makes ready for a new stream.
  public func reset() {
    resampler = nil
    pending = nil
    inputHasEnded = false
  }

  /// Fills a buffer as far as input can be had.
  ///
  /// After the end of the stream, and until `reset()`, the result is `endOfStream`.
  ///
  /// - Parameters:
  ///   - outputBuffer: Gets up to `frameCapacity` frames; its `frameLength` is how many.
  ///   - outError: Gets the error if the result is `error`.
  ///   - inputBlock: Called for input as needed.
  /// - Returns: What the call came to.
  public func convert(
    to outputBuffer: AVAudioBuffer, error outError: NSErrorPointer,
    withInputFrom inputBlock: @escaping AVAudioConverterInputBlock
  ) -> AVAudioConverterOutputStatus {
    guard let output = outputBuffer as? AVAudioPCMBuffer, output.format == outputFormat else {
      return fail(outError, .parameter, "the output buffer's format is not the converter's")
    }
    output.frameLength = 0
    guard let resampler = resampler ?? made() else {
      return fail(outError, .parameter, "no conversion from \(inputFormat.sampleRate) to \(outputFormat.sampleRate) Hz")
    }
    self.resampler = resampler
    defer { keepPending() }
    while output.frameLength < output.frameCapacity {
      guard let (used, made) = step(resampler, output) else {
        return fail(outError, .unspecified, "the sample rate converter failed")
      }
      if used > 0 || made > 0 { continue }
      if inputHasEnded { return output.frameLength > 0 ? .haveData : .endOfStream }
      var status = AVAudioConverterInputStatus.haveData
      let input = inputBlock(request(output), &status)
      switch status {
      case .endOfStream: inputHasEnded = true
      case .noDataNow: return .inputRanDry
      case .haveData:
        guard let input = input as? AVAudioPCMBuffer, input.format == inputFormat else {
          return fail(outError, .parameter, "the input buffer is missing or its format is not the converter's")
        }
        guard input.frameLength > 0 else { return .inputRanDry }
        (pending, pendingStart) = (input, 0)
      }
    }
    return .haveData
  }

  private func made() -> Resampler? {
    let isBest =
      sampleRateConverterAlgorithm == AVSampleRateConverterAlgorithm_Mastering
      || sampleRateConverterQuality >= AVAudioQuality.max.rawValue
    // soxr's names for 28 and 20 bits.
    let recipe = isBest ? SOXR_28_BITQ : SOXR_20_BITQ
    return Resampler(
      from: inputFormat.sampleRate, to: outputFormat.sampleRate, channels: Int(inputFormat.channelCount), recipe: recipe
    )
  }

  private func step(_ resampler: Resampler, _ output: AVAudioPCMBuffer) -> (used: Int, made: Int)? {
    let done = Int(output.frameLength)
    let room = output.planes.map { $0 + done }
    let count = pending.map { Int($0.frameLength) - pendingStart } ?? 0
    // Without input, soxr gives out what it could before; the pointers only have to be there.
    let source = pending.map { $0.planes.map { UnsafePointer($0 + pendingStart) } } ?? room.map { UnsafePointer($0) }
    let isEnd = inputHasEnded && count == 0
    let result = resampler.process(
      isEnd ? nil : source, frames: count, room, capacity: Int(output.frameCapacity) - done)
    guard let result else { return nil }
    output.frameLength += AVAudioFrameCount(result.made)
    pendingStart += result.used
    if result.used == count { pending = nil }
    return result
  }

  private func request(_ output: AVAudioPCMBuffer) -> AVAudioPacketCount {
    let missing = Double(output.frameCapacity - output.frameLength)
    return AVAudioPacketCount(max(1, (missing * inputFormat.sampleRate / outputFormat.sampleRate).rounded(.up)))
  }

  /// Copies the input that remains: its owner may change it once the conversion has returned.
  private func keepPending() {
    guard let input = pending else { return }
    let count = input.frameLength - AVAudioFrameCount(pendingStart)
    let copy = AVAudioPCMBuffer(pcmFormat: input.format, frameCapacity: count)
    for (from, to) in zip(input.planes, copy.map { Array($0.planes) } ?? []) {
      to.update(from: from + pendingStart, count: Int(count))
    }
    copy?.frameLength = count
    (pending, pendingStart) = (copy, 0)
  }

  private func fail(_ outError: NSErrorPointer, _ status: AudioFileStatus, _ reason: String)
    -> AVAudioConverterOutputStatus
  {
    outError?.pointee = NSError(
      domain: NSOSStatusErrorDomain, code: status.rawValue, userInfo: [NSLocalizedDescriptionKey: reason])
    return .error
  }
}
