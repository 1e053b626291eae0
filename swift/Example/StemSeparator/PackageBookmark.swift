import Foundation

/// The package that was chosen last, remembered over launches.
///
/// A sandboxed app may read only what a person gave it. A security-scoped bookmark keeps that permission; on iOS every
/// bookmark of such a file does, on macOS it has to be asked for.
enum PackageBookmark {
  private static let key = "packageBookmark"

  #if os(macOS)
    private static var creation: URL.BookmarkCreationOptions {
      [.withSecurityScope, .securityScopeAllowOnlyReadAccess]
    }
    private static var resolution: URL.BookmarkResolutionOptions { .withSecurityScope }
  #else
    private static var creation: URL.BookmarkCreationOptions { [] }
    private static var resolution: URL.BookmarkResolutionOptions { [] }
  #endif

  /// Remembers a package that may be read now.
  static func save(_ package: URL) throws {
    UserDefaults.standard.set(try package.bookmarkData(options: creation), forKey: key)
  }

  /// The package, to be read between `startAccessingSecurityScopedResource` and its counterpart; nil if there was none.
  static func load() throws -> URL? {
    guard let bookmark = UserDefaults.standard.data(forKey: key) else { return nil }
    var isStale = false
    return try URL(resolvingBookmarkData: bookmark, options: resolution, bookmarkDataIsStale: &isStale)
  }

  /// Forgets the package.
  static func remove() { UserDefaults.standard.removeObject(forKey: key) }
}
