import Foundation

/// The form of a model that is loaded: here, a folder that holds a copy of the package.
enum CompiledModel {
  private static let manifest = "Manifest.json"
  private static let packageName = "model.mlpackage"

  /// Copies a package into a new temporary folder.
  ///
  /// - Parameter package: A folder, or a link to one.
  /// - Returns: The compiled model, to be moved or removed by the caller.
  /// - Throws: An `NSError` if it is no package or cannot be copied; nothing is left then.
  static func make(from package: URL) throws -> URL {
    let source = package.resolvingSymlinksInPath()
    guard isFolder(source), FileManager.default.fileExists(atPath: source.appendingPathComponent(manifest).path) else {
      throw modelError(.io, "\(package.path) is not a package: it is no folder with a \(manifest)")
    }
    let name = package.deletingPathExtension().lastPathComponent
    let compiled = FileManager.default.temporaryDirectory
      .appendingPathComponent("\(name)_\(UUID().uuidString).mlmodelc", isDirectory: true)
    do {
      try copy(source, to: compiled.appendingPathComponent(packageName))
    } catch {
      try? FileManager.default.removeItem(at: compiled)
      throw error
    }
    return compiled
  }

  /// The package in a compiled model.
  ///
  /// - Throws: An `NSError` if it is no compiled model.
  static func package(in compiled: URL) throws -> URL {
    let package = compiled.appendingPathComponent(packageName)
    guard isFolder(package) else {
      throw modelError(.io, "\(compiled.path) is not a compiled model: make one with MLModel.compileModel(at:)")
    }
    return package
  }

  private static func isFolder(_ url: URL) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
  }

  /// Copies files and folders, writable, and refuses whatever else is there.
  private static func copy(_ source: URL, to target: URL) throws {
    let files = FileManager.default
    switch try files.attributesOfItem(atPath: source.path)[.type] as? FileAttributeType {
    case .typeDirectory:
      try files.createDirectory(at: target, withIntermediateDirectories: true)
      for name in try files.contentsOfDirectory(atPath: source.path) {
        try copy(source.appendingPathComponent(name), to: target.appendingPathComponent(name))
      }
    case .typeRegular:
      try files.copyItem(at: source, to: target)
      try files.setAttributes([.posixPermissions: 0o644], ofItemAtPath: target.path)
    default:
      throw modelError(.io, "\(source.path) is neither a folder nor a plain file; packages hold copies, not links")
    }
  }
}
