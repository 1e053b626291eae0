import Foundation
import XCTest
import os

/// What Apple documents of `OSAllocatedUnfairLock`; on Linux it is the stand-in that has to comply.
///
/// Source: developer.apple.com/documentation/os/osallocatedunfairlock.
final class LockTests: XCTestCase {
  func testOneThreadAtATimeHasTheState() {
    let lock = OSAllocatedUnfairLock(initialState: 0)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<10_000 { lock.withLock { $0 += 1 } }
    }
    XCTAssertEqual(lock.withLock { $0 }, 80_000)
  }

  func testCopiesShareLockAndState() {
    let lock = OSAllocatedUnfairLock(initialState: "a")
    let copy = lock
    copy.withLock { $0 += "b" }
    XCTAssertEqual(lock.withLock { $0 }, "ab")
  }

  func testAnErrorComesThroughAndTheLockIsFree() {
    struct Refused: Error {}
    let lock = OSAllocatedUnfairLock(initialState: 1)
    XCTAssertThrowsError(
      try lock.withLock { state in
        state = 2
        throw Refused()
      }
    ) { XCTAssertTrue($0 is Refused) }
    XCTAssertEqual(lock.withLock { $0 }, 2)
  }

  func testStateAndResultNeedNotBeSendable() {
    let lock = OSAllocatedUnfairLock(uncheckedState: NSMutableArray())
    lock.withLockUnchecked { $0.add(7) }
    XCTAssertEqual(lock.withLockUnchecked { $0 }, [7])
  }
}
