/// Makes blocks of any number of channels stereo.
///
/// One channel is duplicated and two are left alone. Three to six are taken as the usual layouts up to 5.1 and mixed
/// down: the centre to both sides and each surround channel to its own side, at -3 dB; low frequencies are left out; then
/// all is scaled so that full scale in every channel stays full scale. Source of the weights: Recommendation ITU-R
/// BS.775-4, annex 4.
struct StereoMixer: Sendable {
  let channels: Int
  /// Weights of each channel in left and right; nil for one channel, which is both, and for two.
  private let weights: [(left: Float, right: Float)]?

  private enum Place {
    case left, right, both, surroundLeft, surroundRight, none

    var weights: (left: Double, right: Double) {
      let side = 0.5.squareRoot()
      switch self {
      case .left: return (1, 0)
      case .right: return (0, 1)
      case .both: return (side, side)
      case .surroundLeft: return (side, 0)
      case .surroundRight: return (0, side)
      case .none: return (0, 0)
      }
    }
  }

  /// Order of WAV, AIFF, CAF and FLAC: front left, right, centre, low frequencies, back or side left, right.
  private static let layouts: [Int: [Place]] = [
    3: [.left, .right, .both],
    4: [.left, .right, .surroundLeft, .surroundRight],
    5: [.left, .right, .both, .surroundLeft, .surroundRight],
    6: [.left, .right, .both, .none, .surroundLeft, .surroundRight],
  ]
  /// Order of Vorbis and Opus (Vorbis I specification, section 4.3.9): the centre second, low frequencies last.
  private static let oggLayouts: [Int: [Place]] = [
    3: [.left, .both, .right],
    4: [.left, .right, .surroundLeft, .surroundRight],
    5: [.left, .both, .right, .surroundLeft, .surroundRight],
    6: [.left, .both, .right, .surroundLeft, .surroundRight, .none],
  ]

  /// - Parameters:
  ///   - channels: Channels of the input.
  ///   - allowsDownmix: Whether more than two are accepted.
  ///   - container: Tells the order of the channels.
  /// - Throws: `AudioProcessingError.channels` if there are too many or their order is not known.
  init(channels: Int, allowsDownmix: Bool, container: AudioContainer) throws {
    self.channels = channels
    guard channels > 2 else {
      guard channels >= 1 else { throw AudioProcessingError.channels(channels, reason: .none) }
      weights = nil
      return
    }
    guard allowsDownmix else { throw AudioProcessingError.channels(channels, reason: .downmixIsOff) }
    let layouts: [Int: [Place]] =
      switch container {
      case .ogg: Self.oggLayouts
      case .other: [:]
      default: Self.layouts
      }
    guard let layout = layouts[channels] else {
      throw AudioProcessingError.channels(channels, reason: .unknownLayout)
    }
    let left = layout.reduce(0) { $0 + $1.weights.left }
    let right = layout.reduce(0) { $0 + $1.weights.right }
    weights = layout.map { (Float($0.weights.left / left), Float($0.weights.right / right)) }
  }

  /// Maps `[channels, n]` to `[2, n]`.
  func stereo(_ block: Waveform) -> Waveform {
    if channels == 2 { return block }
    var result = Waveform(signals: 2, samples: block.samples)
    for channel in 0..<channels {
      let (left, right) = weights?[channel] ?? (1, 1)
      for (side, weight) in [left, right].enumerated() where weight != 0 {
        let start = side * block.samples
        for (index, sample) in block[channel].enumerated() { result.values[start + index] += weight * sample }
      }
    }
    return result
  }
}
