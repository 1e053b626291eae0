import Accelerate
import XCTest

/// What Apple documents of vDSP's vector functions, strides included; on Linux it is the stand-in that has to comply.
///
/// Source: developer.apple.com/documentation/accelerate, the page of each function, and "Controlling vDSP operations
/// with stride".
final class VectorTests: XCTestCase {
  func testCtozCountsFloatsOnTheInterleavedSide() {
    let interleaved = (0..<8).map { DSPComplex(real: Float($0), imag: Float($0) + 100) }
    var split = SplitVector(real: [Float](repeating: -1, count: 8), imag: [Float](repeating: -1, count: 8))
    split.withSplitComplex { vDSP_ctoz(interleaved, 2, &$0, 1, 3) }
    XCTAssertEqual(split.real, [0, 1, 2, -1, -1, -1, -1, -1])
    XCTAssertEqual(split.imag, [100, 101, 102, -1, -1, -1, -1, -1])
    split.withSplitComplex { vDSP_ctoz(interleaved, 4, &$0, 3, 3) }
    XCTAssertEqual(split.real, [0, 1, 2, 2, -1, -1, 4, -1])
    XCTAssertEqual(split.imag, [100, 101, 102, 102, -1, -1, 104, -1])
  }

  func testZtocUndoesCtoz() {
    var split = SplitVector(interleaved: noise(14))
    var interleaved = [DSPComplex](repeating: DSPComplex(real: -9, imag: -9), count: 8)
    split.withSplitComplex { vDSP_ztoc(&$0, 1, &interleaved, 2, 7) }
    XCTAssertEqual(interleaved.prefix(7).flatMap { [$0.real, $0.imag] }, split.interleaved)
    XCTAssertEqual(interleaved[7].real, -9)
    split.withSplitComplex { vDSP_ztoc(&$0, 2, &interleaved, 4, 4) }
    XCTAssertEqual(interleaved[2].real, split.real[2])
    XCTAssertEqual(interleaved[6].imag, split.imag[6])
  }

  func testVmulMultipliesElementByElementAtAnyStride() {
    var product: [Float] = [-1, -1, -1, -1, -1, -1]
    vDSP_vmul([1, 2, 3], 1, [5, 0, 7, 0, 9, 0], 2, &product, 1, 3)
    XCTAssertEqual(product, [5, 14, 27, -1, -1, -1])
    vDSP_vmul([1, 2, 3], 1, [4, 5, 6], 1, &product, 2, 3)
    XCTAssertEqual(product, [4, 14, 10, -1, 18, -1])
  }

  func testVmulWorksInPlace() {
    var values: [Float] = (0..<37).map(Float.init)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      vDSP_vmul(start, 1, [Float](repeating: 3, count: 37), 1, start, 1, 37)
    }
    XCTAssertEqual(values, (0..<37).map { 3 * Float($0) })
  }

  func testVmaAddsAProductToASumInPlace() {
    let factors = (0..<37).map(Float.init)
    var sums = [Float](repeating: 0.5, count: 38)
    sums.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      vDSP_vma(factors, 1, [Float](repeating: 2, count: 37), 1, start, 1, start, 1, 37)
    }
    XCTAssertEqual(sums, (0..<37).map { 2 * Float($0) + 0.5 } + [0.5])
  }

  func testVmaTakesStrides() {
    var result: [Float] = [0, 0, 0, 0]
    vDSP_vma([1, 0, 2, 0], 2, [10, 20], 1, [1, 0, 0, 2], 3, &result, 2, 2)
    XCTAssertEqual(result, [11, 0, 42, 0])
  }

  func testVaddAddsElementByElementAtAnyStrideAndInPlace() {
    var sum: [Float] = [-1, -1, -1, -1]
    vDSP_vadd([1, 2], 1, [10, 0, 20], 2, &sum, 3, 2)
    XCTAssertEqual(sum, [11, -1, -1, 22])
    var values: [Float] = (0..<37).map(Float.init)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      vDSP_vadd(start, 1, [Float](repeating: 5, count: 37), 1, start, 1, 37)
    }
    XCTAssertEqual(values, (0..<37).map { 5 + Float($0) })
  }

  func testVdivTakesTheDivisorFirst() {
    var quotient: [Float] = [-1, -1, -1]
    vDSP_vdiv([2, 4], 1, [10, 10], 1, &quotient, 1, 2)
    XCTAssertEqual(quotient, [5, 2.5, -1])
    vDSP_vdiv([2, 0, 4], 2, [1, 2], 1, &quotient, 2, 2)
    XCTAssertEqual(quotient, [0.5, 2.5, 0.5])
  }

  func testSvemgSumsMagnitudes() {
    let values: [Float] = (0..<100).map { $0 % 2 == 0 ? Float($0) : -Float($0) }
    XCTAssertEqual(sumOfMagnitudes(values), 4950)
    XCTAssertEqual(sumOfMagnitudes(values, stride: 3, count: 4), 0 + 3 + 6 + 9)
    XCTAssertEqual(sumOfMagnitudes(values, count: 0), 0)
  }

  func testSvemgLetsNoNaNOrInfinityPass() {
    for place in [0, 31, 32, 96, 99] {
      for value in [Float.nan, .infinity, -.infinity] {
        var values = [Float](repeating: 1, count: 100)
        values[place] = value
        XCTAssertFalse(sumOfMagnitudes(values).isFinite)
      }
    }
  }
}

private func sumOfMagnitudes(_ values: [Float], stride: Int = 1, count: Int? = nil) -> Float {
  var sum: Float = -1
  vDSP_svemg(values, stride, &sum, vDSP_Length(count ?? values.count))
  return sum
}
