import Foundation

/// Why a package cannot be used.
public enum PackageError: Error, Equatable, Sendable {
  /// There is no folder at this place.
  case notFound(path: String)
  /// This is a compiled model, whose bytes cannot be checked.
  case compiledModel(path: String)
  /// A file of the format is missing.
  case incomplete(path: String, file: String)
  /// A package holds something that is no part of the format, or that is no plain file, such as a link.
  case foreignFile(path: String, file: String)
  /// A file could not be read.
  case unreadable(path: String, file: String, reason: String)
  /// A file is larger than any package's.
  case tooLarge(path: String, file: String, bytes: Int, limitBytes: Int)
  /// A file is not the one that the package's metadata or the format names.
  case damaged(path: String, file: String, sha256: String, requiredSHA256: String)
  /// `model.mlmodel` is no Core ML model, or no ML program.
  case malformedModel(path: String, reason: String)
  /// The metadata lacks an entry, or an entry is not what it has to be.
  case metadata(path: String, reason: String)
  /// The model takes or gives other tensors than its metadata promises.
  case features(path: String, actual: String, promised: String)
  /// A package to fall back to was not made from the same weights, or its segments are not shorter.
  case unrelatedFallback(path: String, reason: String)
  /// Core ML could not compile or load the model.
  case notLoadable(path: String, reason: String)
  /// A compiled model could not be kept in the cache.
  case cache(folder: String, reason: String)
}

extension PackageError: LocalizedError {
  /// What happened, and to which package.
  public var errorDescription: String? {
    switch self {
    case .notFound(let path):
      "\(path) is not a folder."
    case .compiledModel(let path):
      "\(path) is a compiled model, whose bytes cannot be checked."
    case .incomplete(let path, let file):
      "\(path) lacks \(file): the package is incomplete."
    case .foreignFile(let path, let file):
      "\(path) holds \(file), which is no part of a package or no plain file."
    case .unreadable(let path, let file, let reason):
      "\(path): \(file) cannot be read: \(reason)."
    case .tooLarge(let path, let file, let bytes, let limitBytes):
      "\(path) has a \(file) of \(bytes) bytes; more than \(limitBytes) are refused."
    case .damaged(let path, let file, let sha256, let requiredSHA256):
      "\(path) is damaged: \(file) has sha256 \(sha256), but has to have \(requiredSHA256)."
    case .malformedModel(let path, let reason):
      "\(path) has a malformed model.mlmodel: \(reason)."
    case .metadata(let path, let reason):
      "\(path): the package's metadata \(reason)."
    case .features(let path, let actual, let promised):
      "\(path) takes and gives \(actual), but its metadata promises \(promised)."
    case .unrelatedFallback(let path, let reason):
      "\(path) cannot stand in for the package: \(reason)."
    case .notLoadable(let path, let reason):
      "\(path) could not be loaded: \(reason)."
    case .cache(let folder, let reason):
      "The compiled model could not be kept in \(folder): \(reason)."
    }
  }

  /// What to do about it.
  public var recoverySuggestion: String? {
    switch self {
    case .notFound:
      "Give the path of an .mlpackage."
    case .compiledModel:
      "Give the .mlpackage itself; in Xcode, add it inside of a folder reference, which is copied and not compiled."
    case .incomplete, .damaged, .malformedModel, .features, .tooLarge:
      "Make or get the package again."
    case .foreignFile:
      "Core ML refuses links: copy the package as plain files, or make it again."
    case .unreadable:
      "Check that the package is complete and that you may read it."
    case .metadata:
      "Give a package that this project made, of a version that fits."
    case .unrelatedFallback:
      "Give a package of the same model and weights with shorter segments, such as variant mixed-7_8s."
    case .notLoadable:
      "Check the system's version (macOS 15 or iOS 18), or take other compute units."
    case .cache:
      "Make room there, or give another folder for compiled models."
    }
  }
}
