import XCTest

@testable import HTDemucsCommand
@testable import HTDemucsKit

final class ProgressBarTests: XCTestCase {
  private let state = ProgressState(
    title: "song.mp3", segmentsDone: 3, segmentsTotal: 12, elapsedSeconds: 25.4, remainingSeconds: 75)

  func testItShowsSegmentsElapsedAndRemainingTime() {
    XCTAssertEqual(
      state.text(columns: 90),
      "song.mp3  [#######-----------------------]  3/12 segments  0:25 elapsed  1:15 left")
  }

  func testWhatHasNoRoomIsLeftOut() {
    XCTAssertEqual(state.text(columns: 60), "song.mp3  [##------]  3/12 segments  0:25 elapsed  1:15 left")
    XCTAssertEqual(state.text(columns: 45), "song.mp3  [##--------]  3/12  0:25  1:15 left")
    XCTAssertEqual(state.text(columns: 38), "song.mp3  [##-------]  3/12  1:15 left")
    XCTAssertEqual(state.text(columns: 30), "song.mp3  3/12  1:15 left")
    XCTAssertEqual(state.text(columns: 20), "song.mp3  3/12")
    XCTAssertEqual(state.text(columns: 10), "3/12")
  }

  func testItNeverLeavesItsColumns() {
    let titles = ["a", "song.mp3", String(repeating: "日本", count: 30), "e\u{301}\u{1B}[2J", ""]
    for title in titles {
      for (done, total) in [(0, 0), (0, 1), (7, 9), (12_345, 12_345)] {
        for columns in 0..<120 {
          let state = ProgressState(
            title: title, segmentsDone: done, segmentsTotal: total, elapsedSeconds: 1e5, remainingSeconds: 1e6)
          XCTAssertLessThanOrEqual(displayColumns(state.text(columns: columns)), columns, "\(title) \(columns)")
        }
      }
    }
  }

  func testItIsEmptyAtFirstAndFullAtLast() {
    for total in [1, 7, 100] {
      var state = ProgressState(title: "a", segmentsTotal: total)
      XCTAssertFalse(state.text(columns: 100).contains("#"))
      state.segmentsDone = total
      XCTAssertFalse(state.text(columns: 100).contains("-"))
    }
  }

  func testBeforeTheFirstSegmentItSaysThatItPrepares() {
    let state = ProgressState(title: "song.mp3", elapsedSeconds: 2)
    XCTAssertEqual(state.text(columns: 80), "song.mp3  preparing  0:02 elapsed")
    XCTAssertEqual(state.text(columns: 20), "song.mp3  preparing")
  }

  func testUnknownRemainingTimeIsAQuestionMark() {
    var state = state
    state.remainingSeconds = nil
    XCTAssertTrue(state.text(columns: 90).hasSuffix("0:25 elapsed  ? left"))
  }

  func testTimesAreMinutesAndSecondsAndHoursWhereThereAreAny() {
    for (seconds, text) in [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"), (-1, "0:00")] {
      XCTAssertEqual(clockTime(seconds), text)
    }
  }

  func testTheBarIsGoneWhenItEnds() {
    let output = MemoryOutput(columns: 80)
    let bar = ProgressBar(title: "song.mp3", on: output)
    bar.update(SeparationProgress(segmentsDone: 1, segmentsTotal: 2, elapsedSeconds: 1))
    bar.end()
    XCTAssertTrue(output.text.contains("1/2 segments"))
    XCTAssertTrue(output.text.hasSuffix("\r\u{1B}[K"))
    bar.update(SeparationProgress(segmentsDone: 2, segmentsTotal: 2, elapsedSeconds: 1))
    XCTAssertFalse(output.text.contains("2/2"))
  }
}
