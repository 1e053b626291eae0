#if os(Linux)
  import Foundation
  import XCTest

  final class MemoryTests: ProgramTestCase {
    func testTheMemoryThatIsToldIsTheToolsOwnWhoeverStartedIt() throws {
      struct Figures: Decodable {
        let peakMemoryBytes: Int

        enum CodingKeys: String, CodingKey { case peakMemoryBytes = "peak_memory_bytes" }
      }
      // A shell that needs more memory than the tool takes, and then becomes the tool.
      let end = try run(
        ["bench", "--pass-through", "--seconds", "1", "--json"],
        script: #"printf -v big '%*s' 300000000 ''; exec "$@""#)
      XCTAssertEqual(end.code, 0, end.errors)
      let bytes = try JSONDecoder().decode(Figures.self, from: Data(end.output.utf8)).peakMemoryBytes
      XCTAssertGreaterThan(bytes, 10_000_000)
      XCTAssertLessThan(bytes, 250_000_000)
    }
  }
#endif
