import Foundation
import HTDemucsKit
import XCTest

final class StemTypeTests: XCTestCase {
  func testAStemIsItsName() throws {
    XCTAssertEqual(StemType(rawValue: "vocals"), .vocals)
    XCTAssertEqual("\(StemType(rawValue: "strings"))", "strings")
    let known: [StemType] = [.drums, .bass, .other, .vocals, .guitar, .piano]
    XCTAssertEqual(known.map(\.rawValue), ["drums", "bass", "other", "vocals", "guitar", "piano"])
    let decoded = try JSONDecoder().decode([StemType].self, from: Data(#"["drums", "choir"]"#.utf8))
    XCTAssertEqual(decoded, [.drums, StemType(rawValue: "choir")])
  }
}
