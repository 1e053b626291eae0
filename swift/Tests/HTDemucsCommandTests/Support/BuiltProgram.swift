import Foundation
import XCTest

/// The program `htdemucs` that was built with the tests.
func builtProgram(besideTestsOf test: AnyClass) throws -> URL {
  // A bundle of tests lies beside it on macOS; elsewhere the folder of both counts as the bundle.
  let bundle = Bundle(for: test).bundleURL
  let places = [bundle, bundle.deletingLastPathComponent()].map { $0.appending(path: "htdemucs") }
  return try XCTUnwrap(
    places.first { FileManager.default.isExecutableFile(atPath: $0.path) }, "htdemucs was not built")
}
