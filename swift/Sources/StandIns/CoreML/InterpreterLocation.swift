import Foundation

/// Where the interpreter is.
package enum InterpreterLocation {
  private static let variableName = "HTDEMUCS_INTERPRETER"
  private static let fileName = "htdemucs-interpreter"

  /// The path of the interpreter for this process.
  ///
  /// - Throws: An `NSError` if there is none.
  static func path() throws -> String {
    // A link to the file that is executed, also where that was started through another link.
    let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return try path(variable: ProcessInfo.processInfo.environment[variableName], program: program)
  }

  /// The path of the interpreter: what the environment variable names, else the link that `just build-swift` puts into
  /// the build's folder, above the program.
  ///
  /// - Parameters:
  ///   - variable: The variable's value, if it is set.
  ///   - program: The running program, without links.
  /// - Returns: The path of a program.
  /// - Throws: An `NSError` if there is none.
  package static func path(variable: String?, program: URL) throws -> String {
    if let variable, !variable.isEmpty {
      guard isProgram(variable) else {
        throw modelError(.io, "\(variableName) names \(variable), which is no program that can be run")
      }
      return variable
    }
    var folder = program
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      let candidate = folder.appendingPathComponent(fileName).path
      if isProgram(candidate) { return candidate }
    }
    throw modelError(
      .io, "no interpreter of packages was found: run `just build-swift`, or set \(variableName) to the path of one")
  }

  private static func isProgram(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
      && FileManager.default.isExecutableFile(atPath: path)
  }
}
