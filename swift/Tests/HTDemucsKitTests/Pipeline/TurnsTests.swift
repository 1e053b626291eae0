import XCTest
import os

@testable import HTDemucsKit

/// Counts who is inside at once.
private final class Crowd: Sendable {
  private let size = OSAllocatedUnfairLock(initialState: (now: 0, largest: 0))

  var largest: Int { size.withLock { $0.largest } }

  func enter() {
    size.withLock {
      $0.now += 1
      $0.largest = max($0.largest, $0.now)
    }
  }

  func leave() { size.withLock { $0.now -= 1 } }
}

/// Who was let in, in order.
private final class Visitors: Sendable {
  let numbers = OSAllocatedUnfairLock(initialState: [Int]())
}

final class TurnsTests: XCTestCase {
  func testCallersComeInOneAfterTheOther() async throws {
    let turns = Turns()
    let crowd = Crowd()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<50 {
        group.addTask {
          try await turns.take()
          crowd.enter()
          await Task.yield()
          crowd.leave()
          await turns.giveBack()
        }
      }
      try await group.waitForAll()
    }
    XCTAssertEqual(crowd.largest, 1)
  }

  func testWhoeverCameFirstIsLetInFirst() async throws {
    let turns = Turns()
    try await turns.take()
    let visitors = Visitors()
    var tasks: [Task<Void, any Error>] = []
    for number in 0..<5 {
      tasks.append(
        Task {
          try await turns.take()
          visitors.numbers.withLock { $0.append(number) }
          await turns.giveBack()
        })
      while await turns.waitingCount <= number { await Task.yield() }
    }
    await turns.giveBack()
    for task in tasks { try await task.value }
    XCTAssertEqual(visitors.numbers.withLock { $0 }, [0, 1, 2, 3, 4])
  }

  func testWhoeverIsCancelledTakesNoTurnThatIsFree() async throws {
    let turns = Turns()
    let cancelled = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      try await turns.take()
    }
    do {
      try await cancelled.value
      XCTFail("a cancelled task got a turn")
      await turns.giveBack()
    } catch {
      XCTAssertTrue(error is CancellationError)
    }
    try await turns.take()
  }

  func testWhoeverIsCancelledWhileWaitingLosesTheTurnAndNobodyElse() async throws {
    let turns = Turns()
    try await turns.take()
    let cancelled = Task { try await turns.take() }
    let patient = Task {
      try await turns.take()
      await turns.giveBack()
    }
    cancelled.cancel()
    do {
      try await cancelled.value
      XCTFail("a cancelled task got a turn")
    } catch {
      XCTAssertTrue(error is CancellationError)
    }
    await turns.giveBack()
    try await patient.value
    try await turns.take()
  }
}
