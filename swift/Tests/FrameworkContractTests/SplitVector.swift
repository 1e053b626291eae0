import Accelerate
import XCTest

/// A split complex vector that owns its memory.
struct SplitVector {
  var real: [Float]
  var imag: [Float]

  init(real: [Float], imag: [Float]) {
    self.real = real
    self.imag = imag
  }

  init(interleaved: [Float]) {
    real = stride(from: 0, to: interleaved.count, by: 2).map { interleaved[$0] }
    imag = stride(from: 1, to: interleaved.count, by: 2).map { interleaved[$0] }
  }

  var interleaved: [Float] { zip(real, imag).flatMap { [$0, $1] } }

  mutating func withSplitComplex(_ body: (inout DSPSplitComplex) -> Void) {
    real.withUnsafeMutableBufferPointer { real in
      imag.withUnsafeMutableBufferPointer { imag in
        guard let realp = real.baseAddress, let imagp = imag.baseAddress else { return }
        var split = DSPSplitComplex(realp: realp, imagp: imagp)
        body(&split)
      }
    }
  }
}

/// The same values in [-1, 1) every time.
func noise(_ count: Int) -> [Float] {
  var state: UInt64 = 1
  return (0..<count).map { _ in
    // Knuth's MMIX generator; its high bits are good enough here.
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(state >> 40) / Float(1 << 23) - 1
  }
}

func assertEqual(
  _ actual: [Float], _ expected: [Float], accuracy: Float = 1e-5, file: StaticString = #filePath,
  line: UInt = #line
) {
  XCTAssertEqual(actual.count, expected.count, file: file, line: line)
  for (index, pair) in zip(actual, expected).enumerated() {
    XCTAssertLessThanOrEqual(abs(pair.0 - pair.1), accuracy, "at \(index)", file: file, line: line)
  }
}
