import Foundation

/// A message for a `Logger`: made by the compiler from a string literal or interpolation.
@_semantics("oslog.message.type")
public struct OSLogMessage: ExpressibleByStringInterpolation {
  /// The parts of the message.
  public let interpolation: OSLogInterpolation

  /// Called by the compiler.
  public init(stringInterpolation: OSLogInterpolation) { interpolation = stringInterpolation }

  /// Called by the compiler.
  public init(stringLiteral value: String) {
    interpolation = OSLogInterpolation(literal: value)
  }
}

/// The parts of a log message, whose values are computed when the message is written.
///
/// Values without a stated privacy are public if they are numbers or truth values, else private.
public struct OSLogInterpolation: StringInterpolationProtocol {
  private var parts: [() -> String] = []

  /// Called by the compiler.
  public init(literalCapacity: Int, interpolationCount: Int) {}

  init(literal: String) { appendLiteral(literal) }

  /// Called by the compiler.
  public mutating func appendLiteral(_ literal: String) { parts.append { literal } }

  /// An integer, in decimal digits.
  @_semantics("oslog.requires_constant_arguments")
  public mutating func appendInterpolation<T: FixedWidthInteger>(
    _ number: @autoclosure @escaping () -> T, privacy: OSLogPrivacy = .auto
  ) {
    append(privacy, auto: .public) { "\(number())" }
  }

  /// A number.
  @_semantics("oslog.requires_constant_arguments")
  public mutating func appendInterpolation(
    _ number: @autoclosure @escaping () -> Float, format: OSLogFloatFormatting = .fixed, privacy: OSLogPrivacy = .auto
  ) {
    append(privacy, auto: .public) { format.string(Double(number())) }
  }

  /// A number.
  @_semantics("oslog.requires_constant_arguments")
  public mutating func appendInterpolation(
    _ number: @autoclosure @escaping () -> Double, format: OSLogFloatFormatting = .fixed, privacy: OSLogPrivacy = .auto
  ) {
    append(privacy, auto: .public) { format.string(number()) }
  }

  /// A truth value, `true` or `false`.
  @_semantics("oslog.requires_constant_arguments")
  public mutating func appendInterpolation(
    _ boolean: @autoclosure @escaping () -> Bool, privacy: OSLogPrivacy = .auto
  ) {
    append(privacy, auto: .public) { "\(boolean())" }
  }

  /// A string.
  @_semantics("oslog.requires_constant_arguments")
  public mutating func appendInterpolation(
    _ argumentString: @autoclosure @escaping () -> String, privacy: OSLogPrivacy = .auto
  ) {
    append(privacy, auto: .private, argumentString)
  }

  /// The description of a value.
  @_semantics("oslog.requires_constant_arguments")
  public mutating func appendInterpolation<T: CustomStringConvertible>(
    _ value: @autoclosure @escaping () -> T, privacy: OSLogPrivacy = .auto
  ) {
    append(privacy, auto: .private) { value().description }
  }

  func rendered() -> String { parts.map { $0() }.joined() }

  private mutating func append(_ privacy: OSLogPrivacy, auto: OSLogPrivacy, _ value: @escaping () -> String) {
    let level = privacy == .auto ? auto : privacy
    parts.append(level == .public ? value : { "<private>" })
  }
}

/// Whether a value may be read in the log.
public struct OSLogPrivacy: Equatable {
  private enum Level { case auto, `public`, `private` }

  private let level: Level

  /// Decided by the value's type.
  @_semantics("constant_evaluable")
  public static var auto: OSLogPrivacy { OSLogPrivacy(level: .auto) }

  /// Shown.
  @_semantics("constant_evaluable")
  public static var `public`: OSLogPrivacy { OSLogPrivacy(level: .public) }

  /// Redacted: `<private>` stands in its place.
  @_semantics("constant_evaluable")
  public static var `private`: OSLogPrivacy { OSLogPrivacy(level: .private) }
}

/// How a floating-point number is written.
public struct OSLogFloatFormatting {
  private let precision: () -> Int

  /// With six digits after the point, as `%f` of `printf` does.
  @_semantics("constant_evaluable")
  public static var fixed: OSLogFloatFormatting { OSLogFloatFormatting { 6 } }

  /// With so many digits after the point.
  @_semantics("constant_evaluable")
  public static func fixed(precision: @autoclosure @escaping () -> Int) -> OSLogFloatFormatting {
    OSLogFloatFormatting(precision: precision)
  }

  func string(_ number: Double) -> String { String(format: "%.\(precision())f", number) }
}
