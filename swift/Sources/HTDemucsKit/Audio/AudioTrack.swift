/// Stereo samples at the network's rate that can be read from the start as often as needed, never at once.
package protocol AudioTrack: Sendable {
  /// Length in samples at 44.1 kHz.
  var samples: Int { get }
  /// A reader at the track's start.
  func reader() throws -> any AudioTrackReader
}

/// Reads a track once, in order.
package protocol AudioTrackReader: AnyObject {
  /// The next block, `[2, n]` with `1 <= n <=` `trackBlockSamples`, finite; nil at the end.
  func nextBlock() throws -> Waveform?
}

/// Samples of a track's blocks: what is read at once.
package let trackBlockSamples = 1 << 16

/// A track that is in memory.
struct WaveformTrack: AudioTrack {
  /// Stereo samples, `[2, samples]`.
  let waveform: Waveform

  var samples: Int { waveform.samples }

  func reader() throws -> any AudioTrackReader { Reader(waveform) }

  private final class Reader: AudioTrackReader {
    private let waveform: Waveform
    private var position = 0

    init(_ waveform: Waveform) {
      self.waveform = waveform
    }

    func nextBlock() throws -> Waveform? {
      guard position < waveform.samples else { return nil }
      let stop = min(position + trackBlockSamples, waveform.samples)
      defer { position = stop }
      return waveform.samples(position..<stop)
    }
  }
}
