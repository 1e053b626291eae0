import XCTest

/// Signal-to-noise ratio against the reference's energy, in decibels, as `htdemucs_coreml.metrics.snr_db`: infinite
/// where both are equal, minus infinity where only the reference is silent or any value is NaN or infinite.
func snrDB(_ estimate: some Collection<Float>, reference: some Collection<Float>) -> Double {
  guard estimate.count == reference.count, estimate.allSatisfy(\.isFinite), reference.allSatisfy(\.isFinite)
  else { return -.infinity }
  let signal = reference.reduce(0) { $0 + Double($1) * Double($1) }
  let noise = zip(estimate, reference).reduce(0) {
    let difference = Double($1.0) - Double($1.1)
    return $0 + difference * difference
  }
  if noise == 0 { return .infinity }
  return signal == 0 ? -.infinity : 10 * log10(signal / noise)
}

/// Largest difference; infinite where counts differ or any value is NaN.
func largestDifference(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
  guard a.count == b.count else { return .infinity }
  return zip(a, b).reduce(0) {
    let difference = abs($1.0 - $1.1)
    return difference <= $0 ? $0 : (difference.isNaN ? .infinity : difference)
  }
}

/// The source design's tolerance for spectrograms, `|a - b| <= 1e-6 + 1e-5 |b|`, which refuses NaN.
func isWithinTolerance(_ actual: Float, _ expected: Float) -> Bool {
  abs(actual - expected) <= 1e-6 + 1e-5 * abs(expected)
}

/// Checks that as many values as expected are within the source design's tolerance.
func assertWithinTolerance(
  _ actual: some Collection<Float>, _ expected: some Collection<Float>, _ what: String,
  file: StaticString = #filePath, line: UInt = #line
) {
  XCTAssertEqual(actual.count, expected.count, what, file: file, line: line)
  let offenders = zip(actual, expected).enumerated().filter { !isWithinTolerance($1.0, $1.1) }
  if let (index, pair) = offenders.first {
    XCTFail(
      "\(what): \(offenders.count) values out of tolerance, first \(pair.0) for \(pair.1) at \(index)",
      file: file,
      line: line)
  }
}

/// Checks that a call throws one particular error.
func assertThrows<E: Error & Equatable>(
  _ expected: E, file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Void
) {
  XCTAssertThrowsError(try body(), file: file, line: line) {
    XCTAssertEqual($0 as? E, expected, file: file, line: line)
  }
}

/// Checks that a call ends with a `CancellationError` in a task that is cancelled.
func assertIsCancelled(
  file: StaticString = #filePath, line: UInt = #line, _ body: @escaping @Sendable () throws -> Void
) async {
  let task = Task {
    withUnsafeCurrentTask { $0?.cancel() }
    try body()
  }
  do {
    try await task.value
    XCTFail("a cancelled call ended well", file: file, line: line)
  } catch {
    XCTAssertTrue(error is CancellationError, "\(error)", file: file, line: line)
  }
}
