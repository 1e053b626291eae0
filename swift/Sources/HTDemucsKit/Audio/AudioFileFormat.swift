/// Container and encoding of the files that are written.
public struct AudioFileFormat: Equatable, Sendable {
  /// Kinds of file; the raw value is the file name's suffix.
  public enum Container: String, Codable, Sendable {
    /// WAV; RF64 where the file is longer than 4 GiB.
    case wav
    /// FLAC, which is smaller and holds integers only.
    case flac
  }

  /// How samples are stored.
  ///
  /// Integers are rounded to nearest, and cut at full scale where they do not fit.
  public enum Encoding: String, CaseIterable, Codable, Sendable {
    /// 32-bit floating point: nothing is lost.
    case float32
    /// 24-bit integers.
    case int24
    /// 16-bit integers, not dithered.
    case int16

    /// Bits of an integer; nil for floating point.
    var integerBits: Int? {
      switch self {
      case .float32: nil
      case .int24: 24
      case .int16: 16
      }
    }
  }

  /// Kind of file.
  public let container: Container
  /// How samples are stored.
  public let encoding: Encoding

  /// 32-bit floating-point WAV.
  public static let float32WAV = AudioFileFormat(uncheckedContainer: .wav, encoding: .float32)

  /// A format.
  ///
  /// - Parameters:
  ///   - container: Kind of file.
  ///   - encoding: How samples are stored.
  /// - Throws: `AudioProcessingError.floatingPointFLAC` for FLAC with `float32`, which it cannot hold.
  public init(_ container: Container, _ encoding: Encoding) throws {
    guard container != .flac || encoding != .float32 else { throw AudioProcessingError.floatingPointFLAC }
    self.init(uncheckedContainer: container, encoding: encoding)
  }

  private init(uncheckedContainer container: Container, encoding: Encoding) {
    self.container = container
    self.encoding = encoding
  }
}

/// What is done about samples beyond full scale.
///
/// Source: demucs 4.1.0, `audio.prevent_clip`.
public enum ClipMode: String, CaseIterable, Codable, Sendable {
  /// Nothing: float32 keeps them, integers are cut where they do not fit.
  ///
  /// Where it is optional, as in `FileOptions`, write `ClipMode.none`: a mere `.none` is nil.
  case none
  /// A stem whose peak would reach full scale is made quieter as a whole, by `1 / (1.01 peak)`.
  ///
  /// Levels between stems change, so that stems no longer add up to the mix.
  case rescale
  /// Samples are cut at 0.99.
  case clamp
}
