import Foundation

/// A package on disk whose layout, metadata and digests were checked.
///
/// Nothing of it has been run, and Core ML has not seen it. The checks are those of the Python package's
/// `read_package`: no single bit of a package can change unnoticed.
///
/// ```swift
/// let package = try ModelPackage(contentsOf: url)
/// print(package.metadata.sources, package.sha256)  // [drums, bass, …] 70a32a85…
/// ```
public struct ModelPackage: Equatable, Sendable {
  /// The `.mlpackage` folder.
  public let url: URL
  /// What it says of itself.
  public let metadata: PackageMetadata
  /// Digest of each file by its path inside the package.
  public let fileSHA256: [String: String]
  /// Size of all files together, in bytes.
  public let bytes: Int

  /// One digest for the whole package: sha256 over a line `<sha256>  <path>` for each file in order of the paths.
  public var sha256: String {
    HTDemucsKit.sha256(Array(fileSHA256.sorted { $0.key < $1.key }.map { "\($1)  \($0)\n" }.joined().utf8))
  }

  /// Reads a package and checks everything that can be checked without running it.
  ///
  /// - Parameter url: The `.mlpackage` folder.
  /// - Throws: `PackageError` if the layout, the manifest, the model or the metadata is malformed, or a file is not the
  ///   one that the metadata names.
  /// - Complexity: O(size of the package); nothing but `model.mlmodel` is held in memory.
  public init(contentsOf url: URL) throws {
    let files = try PackageFiles(url)
    let path = url.path
    let serialised = try files.content(of: PackageFiles.model)
    var digests = [PackageFiles.model: HTDemucsKit.sha256(serialised)]
    for file in [PackageFiles.weights, PackageFiles.manifest] { digests[file] = try files.sha256(of: file) }

    let description: ModelDescription
    do {
      description = try ModelDescription(serialised: serialised)
    } catch let error as ProtobufReader.Malformed {
      throw PackageError.malformedModel(path: path, reason: error.reason)
    }
    guard description.isProgram else {
      throw PackageError.malformedModel(path: path, reason: "it holds no ML program")
    }
    do {
      metadata = try PackageMetadata(entries: description.userDefined)
    } catch let error as PackageMetadata.Malformed {
      throw PackageError.metadata(path: path, reason: error.reason)
    }
    let unsigned = replacing(Array(metadata.modelSHA256.utf8), with: UInt8(ascii: "0"), in: serialised)
    for (file, actual, required) in [
      (PackageFiles.manifest, digests[PackageFiles.manifest], PackageFiles.manifestSHA256),
      (PackageFiles.model, HTDemucsKit.sha256(unsigned), metadata.modelSHA256),
      (PackageFiles.weights, digests[PackageFiles.weights], metadata.weightBinSHA256),
    ] where actual != required {
      throw PackageError.damaged(path: path, file: file, sha256: actual ?? "", requiredSHA256: required)
    }
    guard description.inputs.elementsEqual(metadata.inputs), description.outputs.elementsEqual(metadata.outputs)
    else {
      throw PackageError.features(
        path: path, actual: described(description.inputs + description.outputs),
        promised: described(metadata.inputs + metadata.outputs))
    }
    self.url = url
    fileSHA256 = digests
    bytes = files.bytes
  }
}

private func described(_ features: [ModelDescription.Feature]) -> String {
  features.map { "\($0.name) \($0.isFloat32 ? "float32" : "not float32") \($0.shape)" }.joined(separator: ", ")
}

/// Bytes with every occurrence of a pattern filled with one byte.
private func replacing(_ pattern: [UInt8], with filler: UInt8, in bytes: [UInt8]) -> [UInt8] {
  var result = bytes
  var start = 0
  while start + pattern.count <= bytes.count {
    if bytes[start] == pattern[0], bytes[start..<start + pattern.count].elementsEqual(pattern) {
      result.replaceSubrange(start..<start + pattern.count, with: repeatElement(filler, count: pattern.count))
      start += pattern.count
    } else {
      start += 1
    }
  }
  return result
}
