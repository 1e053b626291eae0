/// Stereo audio at any rate that can be read from the start as often as needed.
package protocol StereoSource: Sendable {
  /// Frames per second.
  var sampleRateHz: Double { get }
  /// Number of frames, at least 1.
  var frames: Int { get }
  /// A reader at the start, of blocks at the source's own rate.
  func stereoReader() throws -> any AudioTrackReader
}

extension AudioInput: StereoSource {}

/// Audio that is in memory.
struct WaveformSource: StereoSource {
  let sampleRateHz: Double
  private let track: WaveformTrack

  /// - Parameters:
  ///   - waveform: `[1 or 2, frames]`.
  ///   - sampleRateHz: Frames per second.
  /// - Throws: `AudioProcessingError.emptyTrack`, `.bufferSize`, `.channels`, `.resampling` or `.nonFiniteSample`.
  init(_ waveform: Waveform, sampleRateHz: Double) throws {
    try StreamResampler.requireSupported(rateHz: sampleRateHz)
    try requireCount(of: "waveform", waveform.values.count, waveform.signals * waveform.samples)
    guard waveform.samples >= 1 else { throw AudioProcessingError.emptyTrack(samples: 0) }
    let mixer = try StereoMixer(channels: waveform.signals, allowsDownmix: false, container: .other)
    if let place = waveform.values.withUnsafeBufferPointer({ firstNonFinite(in: $0) }) {
      throw AudioProcessingError.nonFiniteSample(
        signal: place / waveform.samples, sample: place % waveform.samples)
    }
    self.sampleRateHz = sampleRateHz
    track = WaveformTrack(waveform: mixer.stereo(waveform))
  }

  var frames: Int { track.samples }

  func stereoReader() throws -> any AudioTrackReader { try track.reader() }
}

/// A source at the network's rate.
struct TrackAtModelRate: AudioTrack {
  let source: any StereoSource

  var samples: Int {
    StreamResampler.resampledFrames(
      source.frames, fromHz: source.sampleRateHz, toHz: ChunkPlan.sampleRateHz)
  }

  func reader() throws -> any AudioTrackReader {
    guard source.sampleRateHz != ChunkPlan.sampleRateHz else { return try source.stereoReader() }
    return try ResamplingReader(source, samples: samples)
  }

  private final class ResamplingReader: AudioTrackReader {
    private let source: any AudioTrackReader
    private let resampler: StreamResampler
    private var ready: [Waveform] = []
    private var hasEnded = false

    init(_ source: any StereoSource, samples: Int) throws {
      self.source = try source.stereoReader()
      resampler = try StreamResampler(
        fromHz: source.sampleRateHz, toHz: ChunkPlan.sampleRateHz, outputFrames: samples)
    }

    func nextBlock() throws -> Waveform? {
      while ready.isEmpty, !hasEnded {
        func keep(_ block: Waveform) { if block.samples > 0 { ready.append(block) } }
        if let block = try source.nextBlock() {
          try resampler.push(block, keep)
        } else {
          try resampler.finish(keep)
          hasEnded = true
        }
      }
      return ready.isEmpty ? nil : ready.removeFirst()
    }
  }
}
