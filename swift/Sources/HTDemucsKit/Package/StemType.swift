/// A separated source, known by its name.
///
/// Which stems a package separates, and in what order, stands in the package's metadata; the constants are the names
/// that published models use, not a list of what there is.
///
/// ```swift
/// let stems = ["drums", "vocals"].map(StemType.init(rawValue:))
/// stems.contains(.vocals)  // true
/// ```
public struct StemType: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
  /// Name of the stem, as a package's metadata spells it.
  public let rawValue: String

  /// A stem of any name.
  ///
  /// - Parameter rawValue: Name of the stem, as a package's metadata spells it.
  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  /// Drums and percussion.
  public static let drums = StemType(rawValue: "drums")
  /// Bass.
  public static let bass = StemType(rawValue: "bass")
  /// What belongs to none of the other stems.
  public static let other = StemType(rawValue: "other")
  /// Vocals.
  public static let vocals = StemType(rawValue: "vocals")
  /// Guitar.
  public static let guitar = StemType(rawValue: "guitar")
  /// Piano.
  public static let piano = StemType(rawValue: "piano")

  /// The stem's name.
  public var description: String { rawValue }
}
