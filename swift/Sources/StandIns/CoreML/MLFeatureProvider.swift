import Foundation

/// A value that goes into or comes out of a model; here, a multi-array.
open class MLFeatureValue: NSObject {
  /// The array, if the value is one.
  public let multiArrayValue: MLMultiArray?

  /// A value that is an array.
  ///
  /// - Parameter value: The array, which is not copied.
  public init(multiArray value: MLMultiArray) {
    multiArrayValue = value
    super.init()
  }
}

@available(*, unavailable)
extension MLFeatureValue: @unchecked Sendable {}

/// Values by their names: the inputs or the outputs of a model.
public protocol MLFeatureProvider: AnyObject {
  /// The names of all values.
  var featureNames: Set<String> { get }

  /// The value of a name, or nil.
  ///
  /// - Parameter featureName: The name.
  /// - Returns: The value, if there is one.
  func featureValue(for featureName: String) -> MLFeatureValue?
}

/// Values in a dictionary.
open class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
  private let values: [String: MLFeatureValue]

  /// A provider of given values.
  ///
  /// - Parameter dictionary: Values by their names: multi-arrays, or feature values that hold them. (Apple's takes numbers,
  ///   texts and more, too.)
  /// - Throws: An `NSError` if a value is something else.
  public init(dictionary: [String: Any]) throws {
    values = try Dictionary(
      uniqueKeysWithValues: dictionary.map { name, value in
        switch value {
        case let value as MLFeatureValue: return (name, value)
        case let array as MLMultiArray: return (name, MLFeatureValue(multiArray: array))
        default:
          throw modelError(
            .featureType, "the value of feature \(name) is \(type(of: value)); only multi-arrays are known")
        }
      })
    super.init()
  }

  /// The names of all values.
  public var featureNames: Set<String> { Set(values.keys) }

  /// The value of a name, or nil.
  ///
  /// - Parameter featureName: The name.
  /// - Returns: The value, if there is one.
  public func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }
}

@available(*, unavailable)
extension MLDictionaryFeatureProvider: @unchecked Sendable {}
