import Foundation

/// A folder of a test's own.
func temporaryFolder() throws -> URL {
  let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return folder
}

/// What is printed on the descriptor of standard error while `body` runs.
func standardError(_ body: () throws -> Void) throws -> String {
  let folder = try temporaryFolder()
  defer { try? FileManager.default.removeItem(at: folder) }
  let file = folder.appending(path: "printed")
  let (kept, target) = (dup(2), open(file.path, O_RDWR | O_CREAT | O_TRUNC, 0o600))
  dup2(target, 2)
  defer { [kept, target].forEach { close($0) } }
  let result = Result { try body() }
  fflush(nil)
  dup2(kept, 2)
  try result.get()
  return try String(contentsOf: file, encoding: .utf8)
}
