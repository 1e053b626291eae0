import Foundation
import XCTest

@testable import HTDemucsKit

final class PeakMemoryTests: XCTestCase {
  func testThePeakGrowsWithWhatIsUsedAndStaysThere() {
    let before = peakMemoryBytes()
    XCTAssertGreaterThan(before, 1 << 20)
    // More than has been used so far, touched so that it is resident.
    let bytes = before + (64 << 20)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4096)
    memory.initializeMemory(as: UInt8.self, repeating: 1)
    memory.deallocate()
    XCTAssertGreaterThan(peakMemoryBytes(), bytes)
    XCTAssertLessThan(peakMemoryBytes(), before + bytes + (64 << 20))
  }
}
